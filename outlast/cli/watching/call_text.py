"""The text of one model call as it comes, in lines that never repeat a character. Pure: pieces in, lines out.

A retry starts its text from nothing, and what the attempt before had written is void. So every piece carries its
attempt; pieces of an older one are dropped, and a newer one says first that what stands above does not count.
"""

from collections.abc import Iterator

from outlast.cli.rendering import safe
from outlast.command_line import command
from outlast.contracts import Streamed

WIDTH = 100
"""Most characters that are held back while a line of the text is not finished."""

LINE, ON, AGAIN, GAP = "│", "┆", "↺", "…"
"""What stands before: a line of the text, more of the same line, a new attempt, a piece that was not seen."""


class CallText:
    """What has been shown of one call; `label` stands before each of its lines, which are about `width` characters long."""

    def __init__(self, label: str, width: int = WIDTH) -> None:
        self._label = safe(" ".join(label.split()))
        self._width = width
        self._begin(1)

    def _begin(self, attempt: int) -> None:
        self.attempt = attempt
        self._end = 0
        self._held, self._seen = "", ""
        self._gaps = 0
        self._mark = LINE

    def feed(self, piece: Streamed) -> Iterator[str]:
        """Take a piece of the text; returns the lines that it gives."""
        if piece.attempt < self.attempt:
            return
        yield from self.tried_again(piece.attempt)
        if piece.start > self._end:
            yield from self._flush()
            yield f"{self._label} {GAP} {piece.start - self._end} characters came too fast to be seen"
            self._gaps += 1
            self._end, self._mark = piece.start, ON
        new = piece.text[self._end - piece.start :]
        yield from self._take(new)

    def joins(self, piece: Streamed) -> bool:
        """Whether a piece goes on where the text stands, without a gap."""
        return piece.attempt == self.attempt and piece.start <= self._end

    def tried_again(self, attempt: int, reason: str = "") -> Iterator[str]:
        """Take note that a new attempt has begun, and why; nothing where it is known."""
        if attempt <= self.attempt:
            return
        void = ", what stands above does not count" if self._end else ""
        why = f": {' '.join(reason.split())[:200]}" if reason else ""
        yield safe(f"{self._label} {AGAIN} attempt {attempt}{void}{why}")
        self._begin(attempt)

    def finish(self, answer: str) -> Iterator[str]:
        """Take the whole answer; returns the lines for what of it was not yet shown."""
        rest = answer[self._end :]
        if not self._gaps and not answer.startswith(self._seen):
            yield f"{self._label} {AGAIN} the answer reads otherwise, what stands above does not count"
            self._begin(self.attempt)
            rest = answer
        yield from self._take(rest)
        yield from self._flush()

    def ended(self, line: str) -> Iterator[str]:
        """Yield how the call ended."""
        yield from self._flush()
        gaps = f" · some of it was not seen: {command('why')} shows it whole" if self._gaps else ""
        yield safe(f"{self._label} {' '.join(line.split())}{gaps}")

    def _take(self, new: str) -> Iterator[str]:
        self._end += len(new)
        self._seen += new
        self._held += new
        while "\n" in self._held:
            line, _, self._held = self._held.partition("\n")
            yield self._write(line)
            self._mark = LINE
        while len(self._held) > self._width:
            cut = self._held.rfind(" ", 1, self._width) + 1 or self._width
            yield self._write(self._held[:cut])
            self._held, self._mark = self._held[cut:], ON

    def _flush(self) -> Iterator[str]:
        if self._held:
            yield self._write(self._held)
            self._held, self._mark = "", ON

    def _write(self, text: str) -> str:
        # A carriage return begins a line, too, and no line may stand there without its label.
        return f"{self._label} {self._mark} " + f"\n{self._label} {LINE} ".join(safe(text).split("\n"))
