"""Turns at a service that wants its requests spaced, shared by all workers through the content store.

Time is cut into turns; whoever writes a turn's name into the store first has it, since stores create an object once.

A task queue's own rate limit is no substitute: the server divides it among the partitions of the queue (four by
default): tasks of one partition wait four times as long as asked, and those of two start together. Both were measured.
"""

import asyncio
import time
from uuid import uuid4

from outlast.storage.activities import ContentStore

AHEAD = 200
"""Turns that are asked for in a row: beyond, a search has long met its own time-out."""


class SharedTurns:
    """Turns of `seconds` each at the service called `name`; clocks of workers may differ by what spacing may miss."""

    def __init__(self, store: ContentStore, name: str, seconds: float) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds

    async def wait(self) -> None:
        """Wait for the first free turn, and return as it begins; raises ContentUnavailable."""
        mine = b"turn " + uuid4().hex.encode()
        # From the next border on, so that a turn is never taken in its middle, close to the one that follows.
        first = int(time.time() / self._seconds) + 1
        for number in range(first, first + AHEAD):
            name = f"turn/{self._name}/{self._seconds:g}/{number}"
            await self._store.remember(name, mine)
            if await self._store.recall(name) == mine:
                await asyncio.sleep(max(0.0, number * self._seconds - time.time()))
                return
