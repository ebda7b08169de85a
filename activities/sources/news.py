"""News, from RSS and Atom feeds that the operator lists; all are read at once, and what is about the question is kept.

The trap: of twenty feeds one is always dead. So a dead feed is a note, and only all of them dead are an error.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from temporalio.exceptions import ApplicationError

from activities.errors import ErrorKind, final, passing, text_of
from activities.formats.feed import Entry, Feed
from activities.sources.base import Answered, Hit
from activities.sources.feeds import read_feed
from activities.sources.fetching import Fetcher
from activities.sources.words import keywords, score, stem, stems

AT_ONCE = 8
"""Feeds that are read at the same time."""


@dataclass(frozen=True, slots=True)
class _Read:
    url: str
    feed: Feed = field(default_factory=lambda: Feed(()))
    error: ApplicationError | None = None


class NewsSource:
    """Searches the entries of feeds, which hold the last days or weeks."""

    def __init__(self, fetcher: Fetcher, feeds: Sequence[str]) -> None:
        self._fetcher = fetcher
        self._feeds = tuple(dict.fromkeys(feeds))

    @property
    def fingerprint(self) -> str | None:
        """Tell one list of feeds from another."""
        return " ".join(self._feeds)

    async def search(self, query: str, limit: int) -> Answered:
        """Return the entries that match the question best, the newer first where they match alike."""
        if not self._feeds:
            raise final(
                ErrorKind.SOURCE_NOT_CONFIGURED,
                "no news feeds are configured: set NEWS_FEEDS to RSS or Atom addresses, by comma",
            )
        turn = asyncio.Semaphore(AT_ONCE)
        read = await asyncio.gather(*(self._read(url, turn) for url in self._feeds))
        dead = [each for each in read if each.error is not None]
        notes = tuple(f"feed {each.url}: {text_of(each.error)}" for each in dead if each.error is not None)
        if len(dead) == len(read):
            final_for_all = all(each.error is not None and each.error.non_retryable for each in dead)
            build = final if final_for_all else passing
            raise build(ErrorKind.SOURCE_UNAVAILABLE, f"no news feed can be read: {'; '.join(notes)}")
        notes += tuple(f"feed {each.url}: {each.feed.problem}" for each in read if each.feed.problem)
        entries = [entry for each in read for entry in each.feed.entries]
        ranked = await asyncio.to_thread(_ranked, entries, query)
        hits = tuple(Hit(entry.title, entry.link, entry.published, entry.text) for entry in ranked[:limit])
        return Answered(hits, notes, whole=not notes)

    async def _read(self, url: str, turn: asyncio.Semaphore) -> _Read:
        try:
            async with turn:
                data = await self._fetcher.get(url)
            return _Read(url, await read_feed(data, url))
        except ApplicationError as error:
            return _Read(url, error=error)


def _ranked(entries: Sequence[Entry], query: str) -> list[Entry]:
    """Return the entries about the question, best first; one that stands in several feeds is there once."""
    wanted = list(dict.fromkeys(map(stem, keywords(query))))
    once = {entry.link or entry.title: entry for entry in reversed(entries)}
    rated = [(score(wanted, stems(entry.title), stems(entry.text)), entry) for entry in once.values()]
    about = sorted(((rate, entry.published, entry) for rate, entry in rated if rate), key=lambda each: each[:2])
    return [entry for _, _, entry in reversed(about)]
