"""How long an activity waits in place for a store that is away, before its own time-out ends it.

A short outage is waited out where the operation is, so that an answer that was paid is still in memory afterwards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.errors import ErrorKind, retryable

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
LOCAL_SECONDS = 3.0
"""How long a local activity waits in place: its workflow task is open meanwhile. After that it is tried again later."""
LEFT_FOR_REPORT = 0.2
"""Share of an activity's time that is left to report what it could not finish."""
LONGEST_REPORT = 10.0
LEAST_FOR_OPERATION = 1.0
"""Seconds that a store has for one operation of an activity whose time is nearly over."""
BEGAN: ContextVar[float] = ContextVar("began")
"""When the attempt that runs here began, by a clock that nobody sets: the server's clock may be hours from this machine's."""


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
        started, pause = time.monotonic(), FIRST_PAUSE
        while True:
            limit = self._limit()
            try:
                async with asyncio.timeout(self._operation_limit(limit, started)):
                    done = await operation()
            except TimeoutError:
                raise retryable(
                    ErrorKind.CONTENT_UNAVAILABLE, "the content store hangs: it neither answers nor fails"
                ) from None
            except ApplicationError as error:
                if error.type != ErrorKind.CONTENT_UNAVAILABLE or time.monotonic() - started + pause > self._limit():
                    raise
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
        """Return how long the store may hang at one operation, as a mount whose server is gone does; a local one is short."""
        if not self.seconds or (activity.in_activity() and activity.info().is_local):
            return None
        return max(limit - (time.monotonic() - started), LEAST_FOR_OPERATION)

    def _limit(self) -> float:
        """Return how many seconds one operation may take in all; in an activity, no more than is left of its time."""
        if not self.seconds or not activity.in_activity():
            return self.seconds
        info = activity.info()
        ran = time.monotonic() - BEGAN.get(time.monotonic())
        if info.is_local:
            return max(0.0, min(self.seconds, LOCAL_SECONDS - ran))
        if info.start_to_close_timeout is None:
            return self.seconds
        return min(self.seconds, reportable(info.start_to_close_timeout.total_seconds()) - ran)


def reportable(whole: float) -> float:
    """Return after how many seconds of an activity's whole time it must give up, so that it can still say what happened."""
    return whole - _for_report(whole)


def bearable(whole: float) -> float:
    """Return after how many seconds of its whole time an activity that did not give up by itself is ended."""
    return whole - _for_report(whole) / 2


def _for_report(whole: float) -> float:
    return min(LONGEST_REPORT, whole * LEFT_FOR_REPORT)
