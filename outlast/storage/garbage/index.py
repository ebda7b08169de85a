"""The objects of a store while they are judged: in a database on disk, so that memory does not grow with the store."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

PAGE = 500
"""Rows that are held at a time."""


@dataclass(frozen=True)
class Found:
    """One object: its key without the trash's prefix, whether it lies in the trash, bytes, Unix time of its last change."""

    key: str
    trashed: bool
    size: int
    modified: float
    kind: str = ""


class Index:
    """What lies in a store, which of it is referred to, and what was read on the way."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a temporary file, which goes with the connection
        self._rows.execute(
            "CREATE TABLE objects (key TEXT, trashed INT, size INT, modified REAL, kind TEXT, kept INT DEFAULT 0, "
            "read INT DEFAULT 0, PRIMARY KEY (key, trashed)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Forget everything."""
        self._rows.close()

    def add(self, found: Iterable[Found], kept: Iterable[bool]) -> None:
        """Take objects in; `kept` says of each whether it stays whatever refers to it."""
        rows = [
            (each.key, each.trashed, each.size, each.modified, each.kind, stays)
            for each, stays in zip(found, kept, strict=True)
        ]
        self._rows.executemany(
            "INSERT OR REPLACE INTO objects (key, trashed, size, modified, kind, kept) VALUES (?, ?, ?, ?, ?, ?)", rows
        )

    def keep(self, keys: Iterable[str]) -> None:
        """Note that these are referred to; keys of what is not there, or came later, change nothing."""
        self._rows.executemany("UPDATE objects SET kept = 1 WHERE key = ? AND kept = 0", ((key,) for key in keys))

    def judge(self, key: str, kind: str, *, stays: bool) -> None:
        """Note what an object is, and whether it stays whatever refers to it."""
        self._rows.execute("UPDATE objects SET kind = ?, kept = max(kept, ?) WHERE key = ?", (kind, stays, key))

    def done(self, keys: Iterable[str]) -> None:
        """Note that what these hold was read for references."""
        self._rows.executemany("UPDATE objects SET read = 1 WHERE key = ?", ((key,) for key in keys))

    def unread(self) -> list[Found]:
        """Return some objects that are referred to and were not read yet."""
        return list(self._page("kept = 1 AND read = 0", ""))

    def unjudged(self) -> list[Found]:
        """Return some records that nothing refers to and nobody has looked at."""
        return list(self._page("kept = 0 AND kind = '' AND key LIKE 'named/%'", ""))

    def unreferenced(self, *, trashed: bool) -> Iterator[Found]:
        """Return all objects that nothing refers to."""
        yield from self._all("kept = 0 AND trashed = ?", trashed)

    def wanted(self) -> Iterator[Found]:
        """Return what lies in the trash although something refers to it."""
        yield from self._all("kept = 1 AND trashed = ?", True)

    def totals(self, condition: str = "1") -> tuple[int, int]:
        """Return how many objects outside the trash there are, and their bytes; `condition` is one of this module's own."""
        row = self._rows.execute(
            f"SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE trashed = 0 AND {condition}"  # noqa: S608
        ).fetchone()
        return int(row[0]), int(row[1])

    def _all(self, condition: str, *values: Any) -> Iterator[Found]:
        last = ""
        while page := list(self._page(f"{condition} AND key > ?", *values, last)):
            yield from page
            last = page[-1].key

    def _page(self, condition: str, *values: Any) -> Iterator[Found]:
        given = values if "?" in condition else ()
        rows = self._rows.execute(
            f"SELECT key, trashed, size, modified, kind FROM objects WHERE {condition} ORDER BY key LIMIT {PAGE}",  # noqa: S608
            given,
        )
        for key, trashed, size, modified, kind in rows:
            yield Found(key, bool(trashed), size, modified, kind)
