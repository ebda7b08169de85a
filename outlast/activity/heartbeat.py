"""Heartbeats while an activity waits for something slow, so that a lost machine is noticed and a busy one is not taken for it.

A heartbeat time-out without heartbeats is a kill switch, and cancellation reaches an activity only through its heartbeats. So
whoever sets `heartbeat_timeout` in a policy wraps the activity's wait in `beating`. Heartbeats of the event loop are late where
the loop is: then a thread of its own sends them, because a worker that is slow is not dead.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import TemporalError

BEATS_PER_TIMEOUT = 3
SHOWN_EVERY = 2.0
"""Seconds between two heartbeats of an activity that shows how far it is, while a worker runs few of them."""
SHOWN_PER_SECOND = 25
"""Most heartbeats a second that many of them send to show how far they are: each one is a write in the server's database."""
LATE = 1.5
"""A heartbeat counts as late after so many intervals, and the thread sends it."""
LOOK_EVERY = 0.25
AGAIN_AFTER = 1.0
"""Seconds until the next try where a server did not take a heartbeat."""
RPC_SECONDS = timedelta(seconds=5)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def beating(details: Callable[[], object] | None = None) -> AsyncIterator[None]:
    """Send a heartbeat three times in the activity's time-out, more often with `details`: what they return at that moment."""
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    keeper = Keeper.running
    interval = timeout.total_seconds() / BEATS_PER_TIMEOUT
    noted = _Beating(activity.info().task_token, interval, details, copy_context())
    beats = asyncio.create_task(_beat(noted, keeper))
    if keeper is not None:
        keeper.watched[noted.token] = noted
    try:
        yield
    finally:
        if keeper is not None:
            keeper.watched.pop(noted.token, None)
        beats.cancel()
        with suppress(asyncio.CancelledError):
            await beats


@dataclass
class _Beating:
    """One activity that sends heartbeats; `context` is the activity's, for `details` that ask who they belong to."""

    token: bytes
    interval: float
    details: Callable[[], object] | None
    context: Context
    last: float = field(default_factory=time.monotonic)

    def shown(self) -> tuple[object, ...]:
        """Return how far the activity is; a heartbeat without it is better than none."""
        try:
            return () if self.details is None else (self.details(),)
        except Exception:
            _log.exception("an activity cannot say how far it is")
            return ()

    @property
    def late(self) -> bool:
        return time.monotonic() - self.last > self.interval * LATE


async def _beat(noted: _Beating, keeper: "Keeper | None") -> None:
    while True:
        await asyncio.sleep(_interval(noted, len(keeper.watched) if keeper else 0))
        activity.heartbeat(*noted.shown())
        noted.last = time.monotonic()


def _interval(noted: _Beating, running: int) -> float:
    if noted.details is None:
        return noted.interval
    return min(noted.interval, max(SHOWN_EVERY, running / SHOWN_PER_SECOND))


class Keeper:
    """A thread with an event loop of its own that sends the heartbeats that the worker's loop is late with."""

    running: "Keeper | None" = None
    """That of this process: heartbeats belong to a worker, and a process has one."""

    def __init__(self, client: Client) -> None:
        self.watched: dict[bytes, _Beating] = {}
        self.sent = 0
        self._client = client
        self._stop = threading.Event()

    @classmethod
    @contextmanager
    def of(cls, client: Client) -> Iterator["Keeper"]:
        """Keep the activities of this process alive while the block runs."""
        keeper, before = cls(client), cls.running
        thread = threading.Thread(target=lambda: asyncio.run(keeper._keep()), name="heartbeats", daemon=True)
        cls.running = keeper
        thread.start()
        try:
            yield keeper
        finally:
            cls.running = before
            keeper._stop.set()
            thread.join()

    async def _keep(self) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(LOOK_EVERY)
            late = [noted for noted in list(self.watched.values()) if noted.late]
            await asyncio.gather(*(self._send(noted) for noted in late))

    async def _send(self, noted: _Beating) -> None:
        handle = self._client.get_async_activity_handle(task_token=noted.token)
        try:
            await handle.heartbeat(*noted.context.copy().run(noted.shown), rpc_timeout=RPC_SECONDS)
        except (TemporalError, OSError):  # cancelled or ended: the loop's own next heartbeat tells the activity
            noted.last += AGAIN_AFTER
        else:
            noted.last = time.monotonic()
            self.sent += 1
