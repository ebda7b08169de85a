"""How long an activity waits in place for a store that is away, before its own time-out ends it.

A short outage is waited out where the operation is, so that an answer that was paid is still in memory afterwards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.contracts import OutageWait
from outlast.errors import ErrorKind, retryable

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
LOCAL_SECONDS = 3.0
"""How long a local activity waits in place: its workflow task is open meanwhile. After that its run waits by an activity that the
server knows of, `await_store`, and the call is made again."""
LEFT_FOR_REPORT = 0.2
"""Share of an activity's time that is left to report what it could not finish."""
LONGEST_REPORT = 10.0
LEAST_FOR_OPERATION = 1.0
"""Seconds that a store has for one operation of an activity whose time is nearly over."""
SILENT_SECONDS = 2.0
"""An operation that has said nothing for so long is shown as a wait."""
SHOWN_REASON = 300
"""Characters of a reason that are shown."""
HANGS = "the content store hangs: it neither answers nor fails"
BEGAN: ContextVar[float] = ContextVar("began")
"""When the attempt that runs here began, by a clock that nobody sets: the server's clock may be hours from this machine's."""


def _beat() -> None:
    if not activity.info().is_local:
        activity.heartbeat(None, *in_place().details)


@dataclass
class InPlace:
    """What one attempt of an activity waits for where it is; its heartbeats say so.

    `since` is when an earlier attempt first met the outage, by the server's clock (Unix seconds); None where none did. `beat`
    sends a heartbeat at once.
    """

    since: float | None = None
    beat: Callable[[], None] = _beat
    waits: list[OutageWait] = field(default_factory=list)
    """Operations may wait side by side; the first has waited longest."""

    @property
    def details(self) -> tuple[object, ...]:
        """Return what a heartbeat says after the progress; nothing where nothing is waited for."""
        return tuple(self.waits[:1])

    @contextmanager
    def showing(self, seconds: float) -> Iterator[Callable[[str], None]]:
        """Give what shows a wait for the store of so many seconds at most, until the block ends; its first call counts."""
        shown: OutageWait | None = None

        def show(reason: str) -> None:
            nonlocal shown
            if shown is not None:
                return
            info = activity.info()
            now = info.started_time + timedelta(seconds=time.monotonic() - BEGAN.get(time.monotonic()))
            began = info.started_time if self.since is None else datetime.fromtimestamp(self.since, UTC)
            shown = OutageWait(
                waits_for="the content store",
                setting="STORE_WAIT",
                reason=" ".join(reason.split())[:SHOWN_REASON],
                since=now if self.since is None else began,
                until=began + timedelta(seconds=seconds),
                attempt=info.attempt,
            )
            self.waits.append(shown)
            if len(self.waits) == 1:
                self.beat()

        try:
            yield show
        finally:
            if shown is not None:
                self.waits.remove(shown)
                if not self.waits:
                    self.beat()


IN_PLACE: ContextVar[InPlace | None] = ContextVar("in_place", default=None)
"""That of the attempt that runs here."""


def in_place() -> InPlace:
    """Return what the attempt that runs here waits for."""
    if (found := IN_PLACE.get()) is None:
        IN_PLACE.set(found := InPlace())
    return found


@dataclass
class Patience:
    """Waits for a store that does not answer; `seconds` at most, 0 for not at all.

    `report` is called once with the reason when it is away, and once with "" when it answers again.
    """

    seconds: float = 0.0
    report: Callable[[str], None] = lambda _: None
    _away: bool = field(default=False, init=False)

    async def outlast(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Do something to the store, again and again while it does not answer; raises its last ContentUnavailable."""
        if not self.seconds or not activity.in_activity():
            return await self._again_and_again(operation, lambda _: None)
        with in_place().showing(self.seconds) as show:
            silent = asyncio.get_running_loop().call_later(SILENT_SECONDS, show, HANGS)
            try:
                return await self._again_and_again(operation, show)
            finally:
                silent.cancel()

    async def _again_and_again(self, operation: Callable[[], Awaitable[T]], show: Callable[[str], None]) -> T:
        started, pause = time.monotonic(), FIRST_PAUSE
        while True:
            limit = self._limit()
            try:
                async with asyncio.timeout(self._operation_limit(limit, started)):
                    done = await operation()
            except TimeoutError:
                raise retryable(ErrorKind.CONTENT_UNAVAILABLE, HANGS) from None
            except ApplicationError as error:
                if error.type != ErrorKind.CONTENT_UNAVAILABLE or time.monotonic() - started + pause > self._limit():
                    raise
                show(error.message)
                if not self._away and self.seconds:
                    self._away = True
                    self.report(error.message)
            else:
                if self._away:
                    self._away = False
                    self.report("")
                return done
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _operation_limit(self, limit: float, started: float) -> float | None:
        """Return how long the store may hang at one operation, as a mount whose server is gone does."""
        if not self.seconds:
            return None
        if activity.in_activity() and activity.info().is_local:
            whole = activity.info().start_to_close_timeout
            return None if whole is None else max(reportable(whole.total_seconds()) - _ran(), LEAST_FOR_OPERATION)
        return max(limit - (time.monotonic() - started), LEAST_FOR_OPERATION)

    def _limit(self) -> float:
        """Return how many seconds one operation may take in all; in an activity, no more than is left of its time."""
        if not self.seconds or not activity.in_activity():
            return self.seconds
        info = activity.info()
        if info.is_local:
            return max(0.0, min(self.seconds, LOCAL_SECONDS - _ran()))
        if info.start_to_close_timeout is None:
            return self.seconds
        return min(self.seconds, reportable(info.start_to_close_timeout.total_seconds()) - _ran())


def _ran() -> float:
    return time.monotonic() - BEGAN.get(time.monotonic())


def reportable(whole: float) -> float:
    """Return after how many seconds of an activity's whole time it must give up, so that it can still say what happened."""
    return whole - _for_report(whole)


def bearable(whole: float) -> float:
    """Return after how many seconds of its whole time an activity that did not give up by itself is ended."""
    return whole - _for_report(whole) / 2


def _for_report(whole: float) -> float:
    return min(LONGEST_REPORT, whole * LEFT_FOR_REPORT)
