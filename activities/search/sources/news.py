"""News, from a search feed that takes the question, and from RSS and Atom feeds that the operator lists.

All are read at once; of the listed ones what is about the question is kept. Of twenty feeds one is always dead, so a dead feed
is a note, and only all of them dead are an error.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, quote_plus, urlsplit

from temporalio.exceptions import ApplicationError

from activities.search.sources.base import Answered, Hit
from activities.search.sources.feeds import read_feed
from activities.search.sources.fetching import Fetcher
from activities.search.sources.words import brief, keywords, score, stem, stems
from outlast.documents.formats.feed import Entry, Feed, web_address
from outlast.errors import ErrorKind, non_retryable, retryable, text_of

NEWS_SEARCH_URL = "https://www.bing.com/news/search?format=rss&q={query}"
"""A news search that answers with a feed and needs no key."""
QUERY_CHARACTERS = 200
QUERY_WORDS = 20
AT_ONCE = 8
"""Feeds that are read at the same time."""


@dataclass(frozen=True, slots=True)
class _Read:
    url: str
    feed: Feed = field(default_factory=lambda: Feed(()))
    error: ApplicationError | None = None
    searched: bool = False


class NewsSource:
    """Searches the entries of feeds, which hold the last days or weeks, and a search feed (`{query}` in its address)."""

    def __init__(self, fetcher: Fetcher, feeds: Sequence[str], search_url: str = "") -> None:
        self._fetcher = fetcher
        self._feeds = tuple(dict.fromkeys(feeds))
        self._search_url = search_url

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one list of feeds from another."""
        return " ".join((*self._feeds, self._search_url)).strip()

    async def search(self, query: str, limit: int) -> Answered:
        """Return the entries that match the question best, the newer first where they match alike."""
        if not self._feeds and not self._search_url:
            raise non_retryable(
                ErrorKind.SOURCE_NOT_CONFIGURED,
                "no news are configured: NEWS_SEARCH_URL is off; set it to a search that answers with a feed, or NEWS_FEEDS to "
                "RSS or Atom addresses, by comma",
            )
        turn = asyncio.Semaphore(AT_ONCE)
        reading = [self._read(url, turn) for url in self._feeds]
        if self._search_url:
            asked = quote_plus(brief(query, QUERY_CHARACTERS, QUERY_WORDS))
            reading.append(self._read(self._search_url.replace("{query}", asked), turn, searched=True))
        read = await asyncio.gather(*reading)
        dead = [each for each in read if each.error is not None]
        notes = tuple(f"feed {_shown(each)}: {text_of(each.error)}" for each in dead if each.error is not None)
        if len(dead) == len(read):
            final_for_all = all(each.error is not None and each.error.non_retryable for each in dead)
            build = non_retryable if final_for_all else retryable
            raise build(ErrorKind.SOURCE_UNAVAILABLE, f"no news feed can be read: {'; '.join(notes)}")
        notes += tuple(f"feed {_shown(each)}: {each.feed.problem}" for each in read if each.feed.problem)
        listed = [entry for each in read for entry in each.feed.entries if not each.searched]
        # What a search gave is about the question already, in an order of its own.
        searched = [_direct(entry) for each in read for entry in each.feed.entries if each.searched]
        ranked = [*await asyncio.to_thread(_ranked, listed, query), *searched]
        once = {entry.link or entry.title: entry for entry in reversed(ranked)}
        kept = list(reversed(once.values()))[:limit]
        hits = tuple(Hit(entry.title, entry.link, entry.published, entry.text) for entry in kept)
        return Answered(hits, notes, whole=not notes)

    async def _read(self, url: str, turn: asyncio.Semaphore, *, searched: bool = False) -> _Read:
        try:
            async with turn:
                data = await self._fetcher.get(url)
            return _Read(url, await read_feed(data, url), searched=searched)
        except ApplicationError as error:
            return _Read(url, error=error, searched=searched)


def _shown(read: _Read) -> str:
    """Return the address of a feed; of a search without its query, which the trace shows anyway."""
    return read.url.partition("?")[0] if read.searched else read.url


def _direct(entry: Entry) -> Entry:
    """Replace a link that only counts clicks by the one that it leads to, which stands in its `url` parameter."""
    parts = urlsplit(entry.link)
    target = web_address(next(iter(parse_qs(parts.query).get("url", ())), ""))
    return replace(entry, link=target) if target and parts.path.endswith("apiclick.aspx") else entry


def _ranked(entries: Sequence[Entry], query: str) -> list[Entry]:
    """Return the entries about the question, best first; one that stands in several feeds is there once."""
    wanted = list(dict.fromkeys(map(stem, keywords(query))))
    once = {entry.link or entry.title: entry for entry in reversed(entries)}
    rated = [(score(wanted, stems(entry.title), stems(entry.text)), entry) for entry in once.values()]
    about = sorted(((rate, entry.published, entry) for rate, entry in rated if rate), key=lambda each: each[:2])
    return [entry for _, _, entry in reversed(about)]
