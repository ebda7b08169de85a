"""Academic papers, through arXiv's own API (https://info.arxiv.org/help/api/user-manual.html).

arXiv asks for one request every three seconds over one connection, for all machines of a user together, and answers clients
that exceed this with 503 or an empty feed. So requests take turns that all workers share, and searches for papers have a
task queue of their own, in which they wait without holding up others.
"""

import re

from activities.search.sources.base import Answered, Hit
from activities.search.sources.feeds import read_feed
from activities.search.sources.fetching import Fetcher
from activities.search.sources.turns import SharedTurns
from activities.search.sources.words import keywords
from outlast.documents.formats.feed import Entry, web_address
from outlast.errors import ErrorKind, non_retryable

ARXIV_URL = "https://export.arxiv.org/api/query"
SECONDS_BETWEEN = 3.0
ALL_OF = 3
"""Up to so many words must all be there; of more any may, and arXiv's ranking puts those with most of them first."""
AUTHORS_NAMED = 5

_OWN_SYNTAX = re.compile(r"\b(?:ti|au|abs|co|jr|cat|rn|all):\S")
_ERRORS = "/api/errors"


class ArxivSource:
    """Searches arXiv by words, or by its own query syntax (`ti:…`, `cat:…`) where a question is written in it."""

    def __init__(self, fetcher: Fetcher, url: str = ARXIV_URL, *, turns: SharedTurns | None = None) -> None:
        self._fetcher = fetcher
        self._url = url
        self._turns = turns

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one mirror from another."""
        return self._url

    async def search(self, query: str, limit: int) -> Answered:
        """Return the most relevant papers with their abstracts."""
        parameters = {
            "search_query": arxiv_query(query),
            "start": "0",
            "max_results": str(limit),
            "sortBy": "relevance",
            "sortOrder": "descending",
        }
        if self._turns is not None:
            await self._turns.wait()
        data = await self._fetcher.get(self._url, parameters=parameters)
        feed = await read_feed(data, "arXiv")
        refusal = next((entry for entry in feed.entries if _ERRORS in entry.id), None)
        if refusal is not None:
            raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"arXiv refuses the query: {refusal.text[:300]}")
        notes = (f"arXiv: {feed.problem}; {len(feed.entries)} entries could be read",) if feed.problem else ()
        return Answered(tuple(map(_hit, feed.entries[:limit])), notes, whole=not feed.problem)


def arxiv_query(question: str) -> str:
    """Write a question in arXiv's query syntax."""
    if _OWN_SYNTAX.search(question):
        return " ".join(question.split())
    words = [f"all:{word}" for word in keywords(question)]
    return (" AND " if len(words) <= ALL_OF else " OR ").join(words)


def _hit(entry: Entry) -> Hit:
    named = ", ".join(entry.authors[:AUTHORS_NAMED]) + (" and others" if len(entry.authors) > AUTHORS_NAMED else "")
    # The id is the page of the abstract, which stays; links may lead to the PDF.
    address = web_address(entry.id) or entry.link
    text = f"By {named}. {entry.text}" if named else entry.text
    return Hit(entry.title, address.replace("http://arxiv.org", "https://arxiv.org", 1), entry.published, text)
