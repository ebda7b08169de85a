"""Admission by measured lag: a worker whose event loop is late takes no new activity, so that what runs is served in time.

A worker that takes more streams than it can read serves all of them late, and calls that are late count as lost and are paid
again. What waits in the queue meanwhile costs nothing, and another worker may take it.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

MOST_LAG = 0.1
"""Seconds that the event loop may be late before nothing new is taken."""
SAMPLE = 0.05
"""Seconds between two looks at the loop."""
PER_SAMPLE = 16
"""Most activities that are taken between two looks: the lag of what has just been taken shows only at the next one."""
QUIET = 0.01
"""Seconds of lag below which the loop has nothing to do."""
PER_QUIET_SAMPLE = 64
"""Most that are taken while it has nothing to do: the steps of a fan-out start at once."""


class Lag:
    """How late the event loop is, in seconds, as of the last look; `measured` has to run meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """Look at the loop while the block runs."""
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _look(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(SAMPLE)
            self.seconds = max(0.0, time.monotonic() - begun - SAMPLE)
            self.samples += 1


class AdmittedByLag(CustomSlotSupplier):
    """At most `most` activities at once, and none while the loop is late.

    The SDK asks from threads of its own as well, so the counts are kept under a lock.
    """

    def __init__(self, most: int, lag: Lag) -> None:
        self._most = most
        self._lag = lag
        self._used = 0
        self._sample = -1
        self._taken = 0
        self._lock = threading.Lock()

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:  # noqa: ARG002 - the SDK's name
        """Wait for a free place, and take it."""
        while not self._take():  # noqa: ASYNC110 - places are freed in threads of the SDK, which no event of ours reaches
            await asyncio.sleep(SAMPLE / 2)
        return SlotPermit()

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:  # noqa: ARG002 - the SDK's name
        """Take a place if one is free now."""
        return SlotPermit() if self._take() else None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Nothing to note: a slot counts from its reservation on."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:  # noqa: ARG002 - the SDK's name
        """Free a place."""
        with self._lock:
            self._used -= 1

    def _take(self) -> bool:
        with self._lock:
            if self._sample != self._lag.samples:
                self._sample, self._taken = self._lag.samples, 0
            at_once = PER_QUIET_SAMPLE if self._lag.seconds < QUIET else PER_SAMPLE
            if self._used >= self._most or self._taken >= at_once or self._lag.seconds > MOST_LAG:
                return False
            self._used += 1
            self._taken += 1
            return True
