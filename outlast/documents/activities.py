"""Documents: text out of the files that people hand in, in parts that fit a model.

They are read in processes of their own (`outlast.documents.parsing`), because a file can be made to keep its reader busy
for minutes or to fill any memory. The page at hand goes out with the heartbeats, and a cancelled activity ends the process that
reads for it.
"""

import asyncio
from collections.abc import Callable

from temporalio import activity

from outlast.activity.heartbeat import heartbeats
from outlast.contracts import Content
from outlast.documents.contracts import ExtractedText, ExtractRequest
from outlast.documents.formats.splitting import SMALLEST_PART
from outlast.documents.parsing.limits import Limit, ParsingStoppedError, cpu_seconds
from outlast.documents.parsing.pool import PARSERS, Job, Parsed
from outlast.errors import ErrorKind, non_retryable
from outlast.storage.activities import ContentStore

KEPT_AT_ONCE = 4
"""How many parts are written at the same time; each is in memory twice while it is."""

_ADVICE = {
    Limit.MEMORY: "split it, or hand it in as plain text",
    Limit.TIME: "split it, or hand it in as plain text",
    Limit.OUTPUT: "split it",
    Limit.CRASH: "open it in its own program and save it again",
}


async def read_document(
    data: bytes,
    name: str,
    media_type: str = "",
    *,
    part_characters: int | None = None,
    on_page: Callable[[int], None] = lambda _: None,
) -> Parsed:
    """Read a file's text in a process of its own, in parts if `part_characters` is given; `on_page` is called at each PDF page.

    The result holds `media_type`, `pages` and `characters`. Raises Document{Encrypted,Scanned,Empty,TooLarge,Unsupported,
    Unreadable}, each naming file and fix.
    """
    try:
        return await PARSERS.run(_job(data, name, media_type, part_characters, on_page))
    except ParsingStoppedError as error:
        raise _stopped(name, error) from None


def read_document_blocking(data: bytes, name: str, *, part_characters: int | None = None) -> Parsed:
    """Do the same in a thread that may wait."""
    try:
        return PARSERS.run_blocking(_job(data, name, "", part_characters, lambda _: None))
    except ParsingStoppedError as error:
        raise _stopped(name, error) from None


def _job(data: bytes, name: str, media_type: str, part_characters: int | None, on_page: Callable[[int], None]) -> Job:
    arguments = {"name": name, "media_type": media_type, "part_characters": part_characters}
    return Job("document", data, arguments, cpu_seconds(len(data)), on_page)


def _stopped(name: str, error: ParsingStoppedError) -> Exception:
    kind = ErrorKind.DOCUMENT_UNREADABLE if error.limit is Limit.CRASH else ErrorKind.DOCUMENT_TOO_LARGE
    return non_retryable(kind, f"{name} {error}; {_ADVICE[error.limit]}.")


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
            raise non_retryable(ErrorKind.INPUT_INVALID, f"part_characters must be at least {SMALLEST_PART}.")
        self._check_size(document.name, document.size)
        page = 0

        def on_page(number: int) -> None:
            nonlocal page
            page = number

        async with heartbeats(lambda: {"document": document.name, "page": page}):
            data = await self._store.get(document.ref)
            self._check_size(document.name, len(data))
            found = await read_document(
                data, document.name, document.media_type, part_characters=request.part_characters, on_page=on_page
            )
            del data  # the texts are all that is needed of it
            kept: list[Content] = []
            for at in range(0, len(found.texts), KEPT_AT_ONCE):
                kept += await asyncio.gather(*map(self._store.keep, found.texts[at : at + KEPT_AT_ONCE]))
        return ExtractedText(parts=tuple(kept), **found.result)

    def _check_size(self, name: str, size: int) -> None:
        if size > self._max_bytes:
            raise non_retryable(
                ErrorKind.DOCUMENT_TOO_LARGE,
                f"{name} has {size:,} bytes, over the limit of {self._max_bytes:,}; split it, or "
                f"raise the worker's limit.",
            )
