"""What somebody typed, kept in files until the session has taken it: a killed terminal loses no message and sends none twice.

Each message has a key, by which the session knows one that is sent again. How far somebody has read is kept beside it.
"""

import hashlib
import json
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from outlast.private_files import private_folder
from outlast.storage.activities import encodable


@dataclass(frozen=True)
class Typed:
    """One message: `key` tells one that is sent again from a new one, `at` when it was typed, in nanoseconds since 1970."""

    text: str
    key: str
    interrupt: bool = False
    at: int = 0


class Outbox:
    """The unsent messages of one person to one session; where nothing can be written, they are in memory alone."""

    def __init__(self, state: Path, *names: str) -> None:
        self._state = state
        self._folder = state / "chat" / _hashed(*names)
        self._read = self._folder / "read"
        self.keeps = True
        """Whether what is typed outlives this process."""

    def keep(self, text: str, *, interrupt: bool = False, key: str = "") -> Typed:
        """Write a message down before it is sent."""
        typed = Typed(text, key or secrets.token_hex(16), interrupt, time.time_ns())
        self._write(self._file(typed), json.dumps(asdict(typed)))
        return typed

    def drop(self, typed: Typed) -> None:
        """Forget a message that the session has taken."""
        with suppress(OSError):
            self._file(typed).unlink(missing_ok=True)

    def left(self) -> list[Typed]:
        """Return what was typed and perhaps not taken, oldest first."""
        found = []
        for file in self._folder.glob("*.json"):
            with suppress(OSError, ValueError, TypeError):  # cut off in the middle of its line: it was never sent
                typed = Typed(**json.loads(file.read_text()))
                found.append(replace(typed, text=encodable(typed.text)))
        return sorted(found, key=lambda typed: typed.at)

    def read_to(self, run: str) -> int:
        """Return the number of the last message of a run whose answer was shown here; 0: none."""
        with suppress(OSError, ValueError):
            read, number = json.loads(self._read.read_text())
            return int(number) if read == run else 0
        return 0

    def has_read(self, run: str, number: int) -> None:
        """Take note of how far somebody has read."""
        self._write(self._read, json.dumps([run, number]))

    def _file(self, typed: Typed) -> Path:
        return self._folder / f"{_hashed(typed.key)}.json"

    def _write(self, file: Path, text: str) -> None:
        try:
            private_folder(self._state)
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = file.with_suffix(".draft")
            draft.write_text(text)
            draft.replace(file)
        except OSError:
            self.keeps = False


def _hashed(*names: str) -> str:
    return hashlib.sha256("\0".join(names).encode(errors="surrogatepass")).hexdigest()[:24]
