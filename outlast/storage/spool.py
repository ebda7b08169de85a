"""What was paid or done is put on record before anything else: in the content store, or on this machine while that is away.

A record on this machine is found by the next attempt here, and moves to the store with it. Where neither takes it, the answer
is in the memory of its attempt alone, which waits for the store all the same.
"""

import asyncio
import hashlib
import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.errors import ErrorKind
from outlast.storage.activities import ContentStore

FOLDER = "spool"
KEPT = timedelta(days=7)
"""How long a record stays on this machine whose call does not come back."""
HANGS = 2.0
"""Seconds that the store may take before a record is kept on this machine as well."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spool:
    """Records by name, in the content store and in a directory of this machine (none: the store alone)."""

    store: ContentStore
    directory: Path | None = None

    async def keep(self, name: str, record: bytes) -> None:
        """Keep a record, on this machine first where the store does not answer; raises ContentUnavailable after waiting."""
        try:
            # A store that hangs, as a mount whose server is gone, has not taken it either.
            async with asyncio.timeout(HANGS):
                await self.store.remember(name, record, waits=False)
        except (ApplicationError, TimeoutError) as error:
            if isinstance(error, ApplicationError) and error.type != ErrorKind.CONTENT_UNAVAILABLE:
                raise
            await asyncio.to_thread(self._write, name, self.store.seal(name, record))
            await self._move(name, record)

    async def find(self, name: str) -> bytes | None:
        """Return the record of an earlier attempt, or None. Raises ContentUnavailable."""
        path = self._path(name)
        if path is not None:
            with suppress(OSError):
                record = await self.store.unseal(name, await asyncio.to_thread(path.read_bytes))
                await self._move(name, record)
                return record
        return await self.store.recall(name)

    def clean(self) -> None:
        """Delete records of calls that never came back; no call is tried again for so long."""
        if self.directory is None:
            return
        oldest = time.time() - KEPT.total_seconds()
        with suppress(OSError):
            for path in (self.directory / FOLDER).iterdir():
                with suppress(OSError):
                    if path.is_file() and path.stat().st_mtime < oldest:
                        path.unlink()

    async def _move(self, name: str, record: bytes) -> None:
        await self.store.remember(name, record)
        if (path := self._path(name)) is not None:
            with suppress(OSError):
                path.unlink()

    def _write(self, name: str, record: bytes) -> None:
        """Write so that a crash leaves all or nothing; a disk that is full as well costs no more than this copy."""
        if (path := self._path(name)) is None:
            return
        part = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(file, "wb") as writing:
                writing.write(record)
                writing.flush()
                os.fsync(writing.fileno())
            part.rename(path)
        except OSError as error:
            _log.warning("an answer cannot be kept on this machine either: %s", error)
            with suppress(OSError):
                part.unlink()

    def _path(self, name: str) -> Path | None:
        if self.directory is None:
            return None
        return self.directory / FOLDER / hashlib.sha256(name.encode()).hexdigest()


def is_first_attempt() -> bool:
    """Whether no attempt of this activity ran before; one that a person has reset counts from 1 again."""
    info = activity.info()
    return info.attempt == 1 and info.current_attempt_scheduled_time == info.scheduled_time
