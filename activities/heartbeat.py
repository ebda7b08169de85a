"""Beats while an activity waits for something slow, so that a dead worker is noticed in seconds.

The trap: a heartbeat time-out without beats is a kill switch, and cancellation reaches an activity only through its
beats. So whoever sets `heartbeat_timeout` in a policy wraps the activity's wait in `beating`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from temporalio import activity

BEATS_PER_TIMEOUT = 3


@asynccontextmanager
async def beating(details: Callable[[], object] | None = None) -> AsyncIterator[None]:
    """Send a heartbeat every third of the activity's time-out, with what `details` returns at that moment."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    beats = asyncio.create_task(_beat(timeout.total_seconds() / BEATS_PER_TIMEOUT, details))
    try:
        yield
    finally:
        beats.cancel()
        with suppress(asyncio.CancelledError):
            await beats


async def _beat(interval: float, details: Callable[[], object] | None) -> None:
    while True:
        await asyncio.sleep(interval)
        if details is None:
            activity.heartbeat()
        else:
            activity.heartbeat(details())
