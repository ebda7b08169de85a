"""Reads the best pages of a search, because a snippet says that a page is about something, not what it says.

Pages are fetched behind the same walls as a tool fetches them: public addresses alone, bounded in size and time. What does not
answer costs a note, never the search.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from temporalio.exceptions import ApplicationError

from activities.search.sources.base import Answered, Hit, Source
from activities.search.sources.words import keywords, score, stem, stems
from outlast.documents.formats.splitting import SMALLEST_PART, split
from outlast.tools.tool import ToolError

PAGE_SECONDS = 15.0
"""Longest time for one page."""
PAGE_CHARACTERS = 4000
"""How much of a page an agent reads: the passages that match the question best, in the page's order."""
PASSAGE_CHARACTERS = 800

ReadPage = Callable[[str], Awaitable[str]]
"""Returns the text of the page at an address; raises ToolError, ConnectionError or ApplicationError."""


class WithPages:
    """A source whose first `pages` hits are read."""

    def __init__(self, source: Source, read: ReadPage, pages: int, *, seconds: float = PAGE_SECONDS) -> None:
        self._source = source
        self._read = read
        self._pages = pages
        self._seconds = seconds

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one number of pages from another."""
        below = self._source.fingerprint
        return None if below is None else f"{below} pages {self._pages}"

    async def search(self, query: str, limit: int) -> Answered:
        """Search as the source below does, then read the first pages at once."""
        answered = await self._source.search(query, limit)
        chosen = [hit for hit in answered.hits if hit.url][: self._pages]
        read = dict(zip(chosen, await asyncio.gather(*(self._page(hit, query) for hit in chosen)), strict=True))
        unread = [f"{hit.url}: {why}" for hit, (page, why) in read.items() if not page]
        hits = tuple(replace(hit, page=read[hit][0]) if hit in read else hit for hit in answered.hits)
        notes = (f"{len(unread)} of {len(chosen)} pages could not be read ({unread[0]})",) if unread else ()
        return replace(answered, hits=hits, notes=(*answered.notes, *notes))

    async def _page(self, hit: Hit, query: str) -> tuple[str, str]:
        """Return the passages of a page, or "" and why there are none."""
        try:
            async with asyncio.timeout(self._seconds):
                text = await self._read(hit.url)
            return await asyncio.to_thread(passages, text, query), "it is empty"
        except TimeoutError:
            return "", f"no answer in {self._seconds:g} s"
        except ApplicationError as error:
            return "", error.message
        except (ToolError, ConnectionError) as error:
            return "", str(error)


def passages(text: str, query: str, characters: int = PAGE_CHARACTERS) -> str:
    """Return the passages of a text that match a question best, in their order; its beginning where none does."""
    if len(text) <= characters:
        return " ".join(text.split())
    pieces = split(text, max(PASSAGE_CHARACTERS, SMALLEST_PART))
    wanted = list(dict.fromkeys(map(stem, keywords(query))))
    rated = sorted(range(len(pieces)), key=lambda at: (-score(wanted, (), stems(pieces[at])), at))
    taken = sorted(rated[: characters // PASSAGE_CHARACTERS])
    return _joined([(at, " ".join(pieces[at].split())) for at in taken])


def _joined(pieces: Sequence[tuple[int, str]]) -> str:
    """Put passages in a row; between those that do not follow each other stands an ellipsis."""
    text, last = "", -1
    for at, piece in pieces:
        text += ("" if at == last + 1 == 0 else " " if at == last + 1 else " … ") + piece
        last = at
    return text.strip()
