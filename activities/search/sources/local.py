"""Documents in a folder of the operator: what is left when nothing else can be reached.

The first search of a large folder reads all of it. That runs in a thread, which a cancelled search stops after the current file.
"""

import asyncio
import sqlite3
import threading
from pathlib import Path

from activities.search.sources.base import Answered, Hit
from activities.search.sources.library import LibraryIndex, Passage
from activities.search.sources.words import keywords
from outlast.errors import ErrorKind, non_retryable, retryable

PASSAGES_PER_HIT = 2
"""Passages of one document that its hit shows."""
PROBLEMS_SHOWN = 3


class LocalSource:
    """Searches the documents of a folder; `directory` is where its index is kept."""

    def __init__(self, folder: Path, directory: Path, max_bytes: int) -> None:
        self._folder = folder
        self._index = LibraryIndex(folder, directory, max_bytes)
        self._turn = asyncio.Lock()

    @property
    def fingerprint(self) -> str | None:
        """Remember nothing: the index answers in a moment, and files change."""
        return None

    async def search(self, query: str, limit: int) -> Answered:
        """Return the documents whose passages match best; their address is the path within the folder."""
        if not self._folder.is_dir():
            raise non_retryable(
                ErrorKind.SOURCE_NOT_CONFIGURED,
                f"there is no folder {self._folder}: set LIBRARY_DIR to one with documents",
            )
        stop = threading.Event()
        words = keywords(query)
        try:
            async with self._turn:
                problems = await asyncio.to_thread(self._index.refresh, stop)
            # Several passages of one document may come first, so more are fetched than are shown.
            found = await asyncio.to_thread(self._index.search, words, limit * 4) if words else []
        except (sqlite3.Error, OSError) as error:
            raise retryable(
                ErrorKind.SOURCE_UNAVAILABLE, f"the index of {self._folder} cannot be used: {error}"
            ) from None
        finally:
            stop.set()
        notes = [f"not searched: {problem}" for problem in problems[:PROBLEMS_SHOWN]]
        if len(problems) > PROBLEMS_SHOWN:
            notes.append(f"not searched: {len(problems) - PROBLEMS_SHOWN} more files")
        return Answered(tuple(_hits(found)[:limit]), tuple(notes))


def _hits(passages: list[Passage]) -> list[Hit]:
    """Make one hit of each document, in the order of their best passages."""
    together: dict[str, list[Passage]] = {}
    for passage in passages:
        together.setdefault(passage.path, []).append(passage)
    return [
        Hit(found[0].title, path, "", " … ".join(passage.body for passage in found[:PASSAGES_PER_HIT]))
        for path, found in together.items()
    ]
