"""Waits out outages: what is away is asked again for minutes, and only a failure of the call itself uses up its attempts.

Temporal counts every attempt alike. So the policies allow many of them, and this counts here, in the worker, which ones were
an outage (of the content store, the model's provider, or whatever a tool changes) and which were the call's own. The death of
a worker counts as neither. Without it, three attempts are over in four seconds, and so is the run.
"""

import asyncio
import random
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, worker
from temporalio.exceptions import ApplicationError

from outlast.activity.waiting import BEGAN, IN_PLACE, InPlace, bearable
from outlast.contracts import ModelFailure, ModelRequest, ToolRequest, UndoRequest, Usage
from outlast.errors import AWAIT_STORE, ErrorKind, non_retryable, retryable

OWN_ATTEMPTS = {
    "append_messages": 5,
    "await_store": 5,
    "call_model": 3,
    "call_tool": 3,
    "check_citations": 5,
    "check_picks": 5,
    "collect_claims": 5,
    "extract_text": 3,
    "group_claims": 5,
    "keep_text": 5,
    "label_request": 5,
    "number_findings": 5,
    "read_catalog": 3,
    "read_outcomes": 5,
    "read_packed": 5,
    "read_toolset": 3,
    "undo_call": 8,
}
"""How often each activity may fail by itself. Activities that are not listed are bounded by their policy alone."""

BROKEN_PAUSE, BROKEN_FACTOR = 2.0, 4.0
"""Seconds until a call whose answer broke off is made again, and by how much each further pause is longer. Its attempts are few,
because each is paid, and what cuts connections, such as a proxy that is replaced, does so for seconds: they must not be over
before it is."""
REMEMBERED = 20_000
"""Calls whose troubles are kept in mind; the oldest are forgotten first, which only gives them more attempts."""
LONGEST_PAUSE = 30.0
SCARCE = 100
"""Attempts that the server still allows for a call, below which they are spread over the wait: a provider that asks for a second
each time would use them up long before PROVIDER_WAIT is over."""
JITTER = 0.2


@dataclass(frozen=True)
class Waits:
    """How many seconds an outage is waited out: of the store, of the provider (with a fallback: of it), of a tool's world."""

    store: float = 3600.0
    provider: float = 900.0
    fallback: float = 60.0
    tool: float = 60.0


@dataclass
class _Trouble:
    """What went wrong with one call so far, as this worker saw it; `since` is the start of its first attempt that met the
    outage, by the server's clock."""

    own: int = 0
    outages: int = 0
    since: float | None = None


@dataclass
class OutageWaits(worker.Interceptor):
    """Decides after each failed attempt whether there will be another one."""

    waits: Waits = field(default_factory=Waits)
    _troubles: "OrderedDict[tuple[str, str], _Trouble]" = field(default_factory=OrderedDict)

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Stand around each activity of the worker."""
        return _Waiting(next, self)

    def since(self, key: tuple[str, str]) -> float | None:
        """Return when a call first met the outage that it still waits out; None where there is none."""
        trouble = self._troubles.get(key)
        return trouble.since if trouble is not None else None

    def ended(self, key: tuple[str, str]) -> None:
        """Forget a call that has ended."""
        self._troubles.pop(key, None)

    def after(self, key: tuple[str, str], error: Exception, request: object) -> Exception:
        """Return the error to report: retryable while there is another attempt, else non-retryable."""
        info = activity.info()
        if info.activity_type not in OWN_ATTEMPTS or (isinstance(error, ApplicationError) and error.non_retryable):
            return error
        before = request.broke if isinstance(request, ModelRequest) else 0
        trouble = self._troubles.setdefault(key, _Trouble(own=before))
        self._troubles.move_to_end(key)
        while len(self._troubles) > REMEMBERED:
            self._troubles.popitem(last=False)
        outage = self._outage(error, request) if isinstance(error, ApplicationError) else None
        if outage is None or not isinstance(error, ApplicationError):
            trouble.own, trouble.since, trouble.outages = trouble.own + 1, None, 0
            allowed = request.attempts if isinstance(request, ModelRequest | ToolRequest) else 0
            if trouble.own >= (allowed or OWN_ATTEMPTS[info.activity_type]):
                return _given_up(error)
            broken = isinstance(error, ApplicationError) and error.type == ErrorKind.MODEL_UNAVAILABLE
            return _after_a_break(error, trouble.own) if broken and isinstance(error, ApplicationError) else error
        setting, seconds = outage
        if info.is_local and error.type == ErrorKind.CONTENT_UNAVAILABLE and seconds:
            # The server does not know of a local activity, so nobody would see that it waits.
            return non_retryable(ErrorKind.CONTENT_UNAVAILABLE, error.message, AWAIT_STORE)
        now = info.started_time.timestamp()
        trouble.since = now if trouble.since is None else trouble.since
        trouble.outages += 1
        waited = now - trouble.since
        if waited >= seconds:
            return _given_up(error, f"; waited {waited:.0f} s for it ({setting}={seconds:.0f})")
        most = info.retry_policy.maximum_attempts if info.retry_policy else 0
        return error if info.is_local else _later(error, trouble.outages, seconds - waited, most - info.attempt)

    def _outage(self, error: ApplicationError, request: object) -> tuple[str, float] | None:
        """Return which setting bounds the wait for what is away, and by how many seconds; None where nothing is away."""
        if error.type == ErrorKind.CONTENT_UNAVAILABLE:
            return "STORE_WAIT", self.waits.store
        if error.type == ErrorKind.TOOL_UNAVAILABLE and _changes_something(request):
            return "TOOL_WAIT", self.waits.tool
        if error.type == ErrorKind.RATE_LIMITED:
            return "PROVIDER_WAIT", self.waits.provider
        if error.type == ErrorKind.MODEL_UNAVAILABLE and _met_outage(error):
            brief = (
                isinstance(request, ModelRequest) and request.has_fallback and self.waits.fallback < self.waits.provider
            )
            return ("FALLBACK_AFTER", self.waits.fallback) if brief else ("PROVIDER_WAIT", self.waits.provider)
        return None


class _Waiting(worker.ActivityInboundInterceptor):
    def __init__(self, inner: worker.ActivityInboundInterceptor, outages: OutageWaits) -> None:
        super().__init__(inner)
        self._outages = outages

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        key = (info.workflow_run_id or "", info.activity_id)
        request = input.args[0] if input.args else None
        seconds = _own_time(info, request)
        if info.attempt == 1:
            self._outages.ended(key)  # a person who resets an activity gives it all its attempts again
        BEGAN.set(time.monotonic())
        IN_PLACE.set(InPlace(self._outages.since(key)))
        try:
            async with asyncio.timeout(seconds) as limit:
                result = await super().execute_activity(input)
        except Exception as raised:
            error = raised
            if isinstance(raised, TimeoutError) and limit.expired():
                error = retryable(ErrorKind.TIMED_OUT, f"{info.activity_type} took longer than {seconds:.0f} s")
            reported = self._outages.after(key, error, request)
            if isinstance(reported, ApplicationError) and reported.non_retryable:
                self._outages.ended(key)
            if reported is raised:
                raise
            raise reported from error.__cause__
        self._outages.ended(key)
        return result


def _own_time(info: activity.Info, request: object) -> float | None:
    """Return after how many seconds an attempt is ended here, before the server ends it unseen; None for not at all.

    A time-out that only the server notices is a failure that is not counted, so the call would be repeated for hours. What
    changes something is not ended: it goes on to its end, and must not be cancelled twice.
    """
    changes = isinstance(request, UndoRequest) or (isinstance(request, ToolRequest) and request.changes)
    if changes or info.activity_type not in OWN_ATTEMPTS or info.start_to_close_timeout is None:
        return None
    return bearable(info.start_to_close_timeout.total_seconds())


def is_away(error: ApplicationError, failure: ModelFailure) -> bool:
    """Whether an attempt met an outage of the provider: it answered with such a status, or was not reached.

    `failure` is of this attempt alone. An answer that broke off after it was paid is the call's own failure.
    """
    if error.type != ErrorKind.MODEL_UNAVAILABLE or failure.usage != Usage():
        return False
    return failure.status is not None or _unreachable(error)


def _unreachable(error: BaseException) -> bool:
    """Whether a failed connection lies behind an error: refused, reset, closed before any answer, or no such host."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return False
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            return True
        name = type(cause).__name__
        if "ConnectTimeout" in name or "ConnectionTimeout" in name or "ConnectError" in name:
            return (
                True  # the last one also stands for a server that hung up before it answered, as one that restarts does
            )
        if "RemoteProtocolError" in name and "without sending a response" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _met_outage(error: ApplicationError) -> bool:
    failure = error.details[0] if error.details else None
    return isinstance(failure, ModelFailure) and failure.away


def _changes_something(request: object) -> bool:
    """Whether what a tool changes is at stake; one that only reads is as well left alone by the model."""
    return not isinstance(request, ToolRequest) or request.changes


def _later(error: ApplicationError, outages: int, left: float, attempts: int) -> ApplicationError:
    """Set the next attempt: as the server asked, else after a pause that doubles, and no later than the wait ends.

    Where few of the `attempts` are left that the server allows, they are spread over the time that is left.
    """
    pause = min(2.0 ** min(outages - 1, 10), LONGEST_PAUSE) * (1 + random.uniform(0, JITTER))  # noqa: S311 - spreads load
    wanted = error.next_retry_delay or timedelta(seconds=pause)
    if 0 < attempts < SCARCE:
        wanted = max(wanted, timedelta(seconds=left / attempts))
    return _copy(error, error.message, after=min(wanted, timedelta(seconds=max(left, 0.1))))


def _after_a_break(error: ApplicationError, own: int) -> ApplicationError:
    """Set the next attempt of a call whose answer broke off, unless the server has."""
    pause = BROKEN_PAUSE * BROKEN_FACTOR ** (own - 1) * (1 + random.uniform(0, JITTER))  # noqa: S311 - spreads load
    wanted = error.next_retry_delay or timedelta(seconds=min(pause, LONGEST_PAUSE))
    return _copy(error, error.message, after=wanted)


def _given_up(error: Exception, why: str = "") -> Exception:
    if not isinstance(error, ApplicationError):
        return non_retryable(ErrorKind.UNEXPECTED, f"{type(error).__name__}: {error}")
    return _copy(error, error.message + why, after=None, non_retryable=True)


def _copy(
    error: ApplicationError, message: str, *, after: timedelta | None, non_retryable: bool = False
) -> ApplicationError:
    return ApplicationError(
        message,
        *error.details,
        type=error.type,
        non_retryable=non_retryable,
        next_retry_delay=after,
        category=error.category,
    )
