"""Documents: text out of the files that people hand in, in parts that fit a model.

The trap: reading a large PDF keeps a processor busy for minutes. It runs in a thread, page by page, so that
heartbeats go out meanwhile and the thread of a cancelled activity ends with its page.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.content import ContentStore
from activities.contracts import ExtractedText, ExtractRequest
from activities.errors import ErrorKind, final
from activities.formats.detection import FileFormat, detect
from activities.formats.text import close_gaps, decode, tidy
from activities.heartbeat import beating

SMALLEST_PART = 200
"""Fewest characters that a part may be limited to: below that, borders cannot be respected."""
FULLNESS = 0.85
"""How full parts are planned, so that there is room to look for a good border."""

# From the best border to the poorest; each match ends where the next part begins.
_BORDERS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"[.!?…][\"'”’»)\]]*\s+|[。！？]"),
    re.compile(r"\n"),
    re.compile(r"\s+"),
)


@dataclass(frozen=True, slots=True)
class ExtractedDocument:
    """A document's text, what it was found to be, and its pages where the format has them."""

    text: str
    media_type: str
    pages: int | None = None


def extract(
    data: bytes, name: str, media_type: str = "", on_page: Callable[[int], None] = lambda _: None
) -> ExtractedDocument:
    """Read a file's text; `on_page` hears of each PDF page begun, and ends the reading with a CancelledError.

    Raises Document{Encrypted,Scanned,Empty,TooLarge,Unsupported,Unreadable}, each naming file and mend.
    """
    found = detect(data, name, media_type)
    try:
        text, pages = _read(found, data, name, on_page)
    except ApplicationError:
        raise
    except Exception as error:  # What a damaged file makes a parser raise has no common class.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise final(
            ErrorKind.DOCUMENT_UNREADABLE,
            f"{name} is damaged, it cannot be read as {found.name} ({reason}); get a fresh copy, or "
            f"open it in its own program and save it again.",
        ) from error
    text = tidy(text)
    if not text:
        raise final(ErrorKind.DOCUMENT_EMPTY, f"{name} holds no text; hand in a file that does.")
    return ExtractedDocument(text, found.value, pages)


def _read(found: FileFormat, data: bytes, name: str, on_page: Callable[[int], None]) -> tuple[str, int | None]:
    # Workflows import this module for its signatures; they and the command line shall not wait for the parsers.
    match found:
        case FileFormat.PDF:
            from activities.formats.pdf import read_pdf

            text, pages = read_pdf(data, name, on_page)
            return close_gaps(text), pages
        case FileFormat.DOCX:
            from activities.formats.word import read_docx

            return close_gaps(read_docx(data)), None
        case FileFormat.HTML:
            from activities.formats.html import read_html

            return close_gaps(read_html(data, name)), None
        case _:
            return decode(data, name), None


def split(text: str, part_characters: int) -> tuple[str, ...]:
    """Cut a text at the best borders within reach into parts of similar length, at most `part_characters`.

    Only white space at the borders is lost. Raises ValueError under SMALLEST_PART.
    """
    if part_characters < SMALLEST_PART:
        raise ValueError(f"part_characters must be at least {SMALLEST_PART}, not {part_characters}")
    text = text.strip()
    parts: list[str] = []
    start = 0
    while len(text) - start > part_characters:
        end = start + _cut(text, start, part_characters)
        parts.append(text[start:end].strip())
        start = end
    parts.append(text[start:].strip())
    return tuple(filter(None, parts))


def _cut(text: str, start: int, limit: int) -> int:
    """Return how many characters the next part takes."""
    rest = len(text) - start
    ideal = rest // -(-rest // int(limit * FULLNESS))
    # As far before as behind, so that neither this part nor what remains gets tiny; wider only to spare a word.
    near = min(limit - ideal, ideal // 2)
    for before, behind in ((near, near), (ideal, limit - ideal)):
        for border in _BORDERS:
            matches = border.finditer(text, start + ideal - before, start + ideal + behind)
            taken = [match.end() - start for match in matches]
            if taken:
                return min(taken, key=lambda characters: abs(characters - ideal))
    return ideal


class DocumentActivities:
    """Activities that turn files into text, from the content store and back into it."""

    def __init__(self, store: ContentStore, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes

    @activity.defn
    async def extract_text(self, request: ExtractRequest) -> ExtractedText:
        """Extract a stored document's text and keep it in parts; heartbeats name the page at hand."""
        document = request.document
        if request.part_characters < SMALLEST_PART:
            raise final(ErrorKind.INPUT_INVALID, f"part_characters must be at least {SMALLEST_PART}.")
        self._check_size(document.name, document.size)
        reading = _Reading()
        async with beating(lambda: {"document": document.name, "page": reading.page}):
            data = await self._store.get(document.ref)
            self._check_size(document.name, len(data))
            try:
                extracted = await asyncio.to_thread(extract, data, document.name, document.media_type, reading.on_page)
            finally:
                reading.stop.set()
            parts = split(extracted.text, request.part_characters)
            kept = await asyncio.gather(*map(self._store.keep, parts))
        return ExtractedText(
            parts=tuple(kept),
            characters=len(extracted.text),
            media_type=extracted.media_type,
            pages=extracted.pages,
        )

    def _check_size(self, name: str, size: int) -> None:
        if size > self._max_bytes:
            raise final(
                ErrorKind.DOCUMENT_TOO_LARGE,
                f"{name} has {size:,} bytes, over the limit of {self._max_bytes:,}; split it, or "
                f"raise the worker's limit.",
            )


class _Reading:
    """How far a reading thread is, and the way to end it from outside."""

    def __init__(self) -> None:
        self.page = 0
        self.stop = threading.Event()

    def on_page(self, number: int) -> None:
        """Note the page, or stop before it."""
        if self.stop.is_set():
            raise asyncio.CancelledError
        self.page = number
