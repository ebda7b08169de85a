"""Heartbeats while an activity waits for something slow: a lost machine is noticed, and a busy one is not taken for lost.

A heartbeat time-out without heartbeats ends every call, and cancellation reaches an activity only through its heartbeats. So
an activity whose policy has a `heartbeat_timeout` wraps its wait in `heartbeats`. The event loop sends them; where the loop is
late, a thread of its own does, because a worker that is slow is not dead.
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

from outlast.activity.waiting import in_place

PER_TIMEOUT = 3
"""Heartbeats in each time-out."""
SHOWN_EVERY = 2.0
"""Seconds between two heartbeats of an activity that reports its progress, while a worker runs few of them."""
SHOWN_PER_SECOND = 25
"""Most heartbeats a second that many of them send to report progress: each one is a write in the server's database."""
LATE = 1.5
"""A heartbeat counts as late after so many intervals, and the thread sends it."""
LOOK_EVERY = 0.25
AGAIN_AFTER = 1.0
"""Seconds until the next try where a server did not take a heartbeat."""
RPC_SECONDS = timedelta(seconds=5)

_log = logging.getLogger(__name__)


@asynccontextmanager
async def heartbeats(details: Callable[[], object] | None = None) -> AsyncIterator[None]:
    """Send heartbeats while the block runs: three in each time-out, more with `details`, whose result is the progress.

    What is waited for in place is a second detail.
    """
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    keeper = Keeper.running
    interval = timeout.total_seconds() / PER_TIMEOUT
    client = activity.client() if keeper else None
    waits = in_place()  # before the context is copied
    watched = Watched(activity.info().task_token, interval, details, copy_context(), client)
    waits.beat = lambda: activity.heartbeat(*watched.progress())
    task = asyncio.create_task(_send_from_loop(watched, keeper))
    if keeper is not None:
        keeper.watched[watched.token] = watched
    try:
        yield
    finally:
        waits.beat = lambda: None
        if keeper is not None:
            keeper.watched.pop(watched.token, None)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Watched:
    """One activity that sends heartbeats; `context` is the activity's, for `details` that read its context variables."""

    token: bytes
    interval: float
    details: Callable[[], object] | None
    context: Context
    client: Client | None = None
    last: float = field(default_factory=time.monotonic)

    def progress(self) -> tuple[object, ...]:
        """Return how far the activity is, and what it waits for; a heartbeat without either is better than none."""
        try:
            waits = in_place().details
            return () if self.details is None and not waits else (self.details and self.details(), *waits)
        except Exception:
            _log.exception("an activity cannot report its progress")
            return ()

    @property
    def late(self) -> bool:
        """Whether the event loop should have sent a heartbeat by now."""
        return time.monotonic() - self.last > self.interval * LATE


async def _send_from_loop(watched: Watched, keeper: "Keeper | None") -> None:
    while True:
        await asyncio.sleep(_interval(watched, len(keeper.watched) if keeper else 0))
        activity.heartbeat(*watched.progress())
        watched.last = time.monotonic()


def _interval(watched: Watched, running: int) -> float:
    if watched.details is None:
        return watched.interval
    return min(watched.interval, max(SHOWN_EVERY, running / SHOWN_PER_SECOND))


class Keeper:
    """A thread with an event loop of its own that sends the heartbeats that the worker's loop is late with."""

    running: "Keeper | None" = None
    """That of this process, which all its workers share."""

    def __init__(self) -> None:
        self.watched: dict[bytes, Watched] = {}
        self.sent = 0
        self._workers = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep()), name="heartbeats", daemon=True)

    @classmethod
    @contextmanager
    def of_this_process(cls) -> Iterator["Keeper"]:
        """Send late heartbeats while the block runs; blocks of several workers may overlap."""
        keeper = cls.running
        if keeper is None:
            keeper = cls.running = cls()
            keeper._thread.start()
        keeper._workers += 1
        try:
            yield keeper
        finally:
            keeper._workers -= 1
            if not keeper._workers:
                cls.running = None
                keeper._stop.set()
                keeper._thread.join()

    async def _keep(self) -> None:
        while not self._stop.is_set():
            await asyncio.sleep(LOOK_EVERY)
            late = [watched for watched in list(self.watched.values()) if watched.late]
            await asyncio.gather(*(self._send(watched) for watched in late))

    async def _send(self, watched: Watched) -> None:
        if watched.client is None:
            return
        handle = watched.client.get_async_activity_handle(task_token=watched.token)
        try:
            await handle.heartbeat(*watched.context.copy().run(watched.progress), rpc_timeout=RPC_SECONDS)
        except (
            TemporalError,
            OSError,
        ):  # cancelled or ended: the loop's own next heartbeat reports that to the activity
            watched.last += AGAIN_AFTER
        else:
            watched.last = time.monotonic()
            self.sent += 1
