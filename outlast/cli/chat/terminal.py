"""A terminal in which a person types while lines come in: what comes is printed above what is being typed.

`input` reads in a thread of its own, by readline where Python has it, so that lines can be edited and found again. Where stdin
is no terminal its lines are read as they come, and nothing is drawn.
"""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shutil import get_terminal_size
from typing import Any

from rich.cells import cell_len

from outlast.cli.leaving import say

try:
    import readline
except ImportError:  # Windows, and Pythons that were built without it
    readline = None  # type: ignore[assignment]  # each use asks first

PROMPT = "› "
UP, CLEAR = "\x1b[A", "\r\x1b[J"


class Terminal:
    """Reads lines and prints lines at the same time; `draws` tells whether a person looks at both."""

    def __init__(self) -> None:
        self.draws = sys.stdin.isatty() and sys.stdout.isatty()
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._asks = False
        self._raw: Any = getattr(sys.stdout, "raw", sys.stdout)
        """Behind the stream that takes control characters out; only our own are written to it."""

    def print(self, line: str = "") -> None:
        """Print a line, above what is being typed."""
        if self._asks and self.draws:
            typed = readline.get_line_buffer() if readline else ""
            rows = cell_len(PROMPT + typed) // max(1, get_terminal_size().columns)
            self._raw.write(UP * rows + CLEAR)
            print(line)
            self._raw.write(PROMPT + typed)
            self._raw.flush()
        else:
            print(line, flush=True)

    def note(self, line: str) -> None:
        """Print what is no part of the talk: on stderr where no person looks at both."""
        if self.draws:
            self.print(line)
        else:
            say(line)

    async def read(self) -> str | None:
        """Return the next line that was typed; None once there are no more."""
        return await self._lines.get()

    def _read(self) -> None:
        while True:
            try:
                self._asks = True
                line = input(PROMPT) if self.draws else _piped_line()
            except (EOFError, OSError, ValueError):
                line = ""
                ended = True
            else:
                ended = not self.draws and not line
            self._asks = False
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._lines.put_nowait, None if ended else line.rstrip("\r\n"))
            if ended:
                return

    @contextmanager
    def opened(self) -> Iterator["Terminal"]:
        """Read while the block runs; the terminal is left as it was found, whatever is being typed."""
        before = _attributes() if self.draws else None
        threading.Thread(target=self._read, name="stdin", daemon=True).start()
        try:
            yield self
        finally:
            if before is not None:
                if self._asks:
                    print(flush=True)
                _restore(before)


def _piped_line() -> str:
    # Python's own reading follows the locale; so what is not UTF-8 can be told from what is, whatever the locale.
    return sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")


def _attributes() -> list[Any] | None:
    with suppress(ImportError, OSError):
        import termios

        return list(termios.tcgetattr(sys.stdin))
    return None


def _restore(attributes: list[Any]) -> None:
    with suppress(ImportError, OSError):
        import termios

        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)
