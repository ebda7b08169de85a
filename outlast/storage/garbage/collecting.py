"""Takes away what no run refers to, in two steps, beside workers that go on writing.

1. What lies in the store is listed, then the histories are read, so whatever is written later is not judged at all.
2. What they refer to is read for further references: entries of transcripts, undo records, carried state. What is younger than
   the grace is kept, and read as well, because its run may not have told history yet.
3. The rest goes to the trash. Content is known by its digest, so a worker may refer to a text again at any moment without
   writing it: whoever reads what is in the trash brings it back, and so does the next `gc` that finds a reference.
4. What lies in the trash for longer than the grace, and is still not referred to, is deleted.

So a new reference to an old text has the whole grace to be seen. Running activities are no longer than that.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import obstore
from obstore.exceptions import NotFoundError

from outlast.storage.garbage.index import Found, Index
from outlast.storage.garbage.kinds import CONTENT, KEY, ROUTER, UNKNOWN, kind_of
from outlast.storage.garbage.references import Histories, UnreadableError, keys_in
from outlast.storage.garbage.users import FOLDER, listed
from outlast.storage.objects import TRASH, Objects
from outlast.storage.sealing import KeyMissingError, SealBrokenError

READS_AT_ONCE = 8
LEAST_GRACE = timedelta(hours=1)
"""Shortest grace that a person may ask for: a reference must get from an activity into history within it."""
AGES = (("under a week", 7.0), ("under a month", 30.0), ("older", float("inf")))
"""How garbage is sorted by age, in days."""
CLOCK = ".clock"
"""What is written, and deleted again, to learn the time of the store."""
SMALLEST = 43
"""Bytes of a reference: what is shorter holds none."""


@dataclass
class Tally:
    """Objects and their bytes, together and by age."""

    objects: int = 0
    size: int = 0
    ages: dict[str, int] = field(default_factory=dict)

    def count(self, found: Found, now: float) -> None:
        """Count one more."""
        self.objects += 1
        self.size += found.size
        days = (now - found.modified) / 86400
        age = next(name for name, most in AGES if days < most)
        self.ages[age] = self.ages.get(age, 0) + 1


@dataclass
class Report:
    """What was found, and, unless it was a dry run, what was done."""

    deleted: bool
    objects: int = 0
    size: int = 0
    runs: int = 0
    referred: int = 0
    unknown: int = 0
    unreferenced: dict[str, Tally] = field(default_factory=dict)
    """What goes to the trash, by kind."""
    emptied: Tally = field(default_factory=Tally)
    """What is deleted from the trash."""
    waiting: Tally = field(default_factory=Tally)
    """What lies in the trash for less than the grace."""
    restored: int = 0
    """What came back from the trash, because something refers to it again."""


class Collector:
    """One look at a store."""

    def __init__(self, objects: Objects, namespaces: Sequence[str], grace: timedelta, *, delete: bool) -> None:
        self._objects = objects
        self._namespaces = namespaces
        self._grace = grace.total_seconds()
        self._now = time.time()
        self._young = self._now - self._grace
        self._index = Index()
        self._report = Report(deleted=delete)

    async def collect(self, histories: Iterable[Histories]) -> Report:
        """Find what nothing refers to, and take it away if that is wanted; raises UnreadableError, and then nothing was done."""
        try:
            if self._report.deleted:
                await self._set_clock()
            await self._list()
            for each in histories:
                await each.each(self._index.keep)
                self._report.runs += each.runs
            await self._read_on()  # before records are judged: those that are referred to need not be
            await self._judge()
            await self._read_on()
            self._report.objects, self._report.size = self._index.totals()
            self._report.referred, _ = self._index.totals("kept = 1")
            await self._restore()
            await self._empty()
            await self._throw_away()
            return self._report
        finally:
            self._index.close()

    async def _set_clock(self) -> None:
        """Go by the store's own clock, which dates all that lies there: this machine's may be off by more than the grace."""
        await self._objects.write(CLOCK, b"", anew=True)
        about = await obstore.head_async(self._objects.store(), CLOCK)
        await self._delete(CLOCK)
        self._now = about["last_modified"].timestamp()
        self._young = self._now - self._grace

    async def _list(self) -> None:
        async for page in listed(self._objects):
            found = []
            for each in page:
                trashed = each["path"].startswith(TRASH)
                key = each["path"].removeprefix(TRASH)
                if KEY.fullmatch(key):
                    kind = "" if key.startswith("named/") else CONTENT
                    found.append(Found(key, trashed, each["size"], each["last_modified"].timestamp(), kind))
                elif not key.startswith(FOLDER):
                    self._report.unknown += 1
            self._index.add(found, (not each.trashed and each.modified > self._young for each in found))

    async def _read_on(self) -> None:
        """Read what is referred to for further references, until there are no new ones."""
        while unread := self._index.unread():
            keys = [each.key for each in unread if each.size >= SMALLEST]
            await self._each(keys, lambda _, data: self._index.keep(keys_in(data, self._namespaces)))
            self._index.done(each.key for each in unread)

    async def _judge(self) -> None:
        """Find out what the records are that nothing refers to; those that are asked for by name, or unknown, stay."""

        def judge(key: str, data: bytes) -> None:
            kind = kind_of(data)
            self._report.unknown += kind == UNKNOWN
            self._index.judge(key, kind, stays=kind in (ROUTER, UNKNOWN))

        while unjudged := self._index.unjudged():
            keys = [each.key for each in unjudged]
            for key in keys:
                self._index.judge(key, UNKNOWN, stays=False)  # one that has gone meanwhile is not asked for again
            await self._each(keys, judge)

    async def _each(self, keys: Iterable[str], take: Callable[[str, bytes], None]) -> None:
        """Hand what lies under some keys, in the trash or not, to `take`."""
        waiting = iter(keys)

        async def read() -> None:
            for key in waiting:
                found = await self._objects.fetch(key)
                if found is None:
                    found = await self._objects.fetch(TRASH + key)
                if found is not None:
                    take(key, await self._opened(key, found))

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(READS_AT_ONCE):
                    readers.create_task(read())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _opened(self, key: str, found: bytes | memoryview) -> bytes:
        try:
            return await self._objects.opened(key, found)
        except KeyMissingError as error:
            raise UnreadableError(f"object {key} cannot be read: {error}") from error
        except SealBrokenError:
            return bytes(found)  # it is damaged, and nobody can follow what it referred to

    async def _restore(self) -> None:
        for found in self._index.wanted():
            self._report.restored += 1
            if self._report.deleted:
                await self._objects.read(found.key)  # brings it back where nobody has yet
                await self._delete(TRASH + found.key)

    async def _empty(self) -> None:
        for found in self._index.unreferenced(trashed=True):
            overdue = found.modified <= self._young
            (self._report.emptied if overdue else self._report.waiting).count(found, self._now)
            if overdue and self._report.deleted:
                await self._delete(TRASH + found.key)

    async def _throw_away(self) -> None:
        for found in self._index.unreferenced(trashed=False):
            if self._report.deleted and not await self._moved(found.key):
                continue
            self._report.unreferenced.setdefault(found.kind, Tally()).count(found, self._now)

    async def _moved(self, key: str) -> bool:
        """Move an object to the trash, where it stays for the grace from now on; returns whether it was still old."""
        store, trash = self._objects.store(), TRASH + key
        try:
            about = await obstore.head_async(store, key)
            if about["last_modified"].timestamp() > self._young:
                return False
            if self._objects.directory is not None:
                await asyncio.to_thread(
                    os.utime, self._objects.directory / key
                )  # else it would seem to be there for long
                await obstore.rename_async(store, key, trash)
            else:
                await obstore.copy_async(store, key, trash)
                await obstore.delete_async(store, key)
        except (NotFoundError, FileNotFoundError):
            return False
        return True

    async def _delete(self, key: str) -> None:
        try:
            await obstore.delete_async(self._objects.store(), key)
        except (NotFoundError, FileNotFoundError):
            return
