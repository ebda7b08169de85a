"""One run as its history holds it: every activity with its attempts, and every timer. Pure: events in, records out.

A history holds one `started` event for an activity however often it was tried; of the attempts before, only the
number and the last failure are there, and both only once the activity has ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent


class Ended(StrEnum):
    """How an activity or a timer ended."""

    OPEN = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Recorded:
    """One activity: when it was wanted, when its last attempt started, and how it ended (times in UTC).

    `name` is the activity's type, `summary` the workflow's description of it, `failure` why it or its last failed attempt failed.
    `worker` is who had it, `by` who ended it.
    """

    id: str
    name: str
    summary: Payload | None
    asked: Payloads
    scheduled: datetime
    started: datetime | None = None
    ended: datetime | None = None
    attempt: int = 1
    how: Ended = Ended.OPEN
    answer: Payloads | None = None
    failure: str = ""
    failure_type: str = ""
    worker: str = ""
    by: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether it was ended by somebody else than the worker that had it: from the command line or the Web UI."""
        return bool(self.by) and self.by != self.worker and self.how in (Ended.DONE, Ended.FAILED, Ended.CANCELLED)


@dataclass(frozen=True)
class Waited:
    """One timer: what it waited for, and whether its time came (`done`) or something else came first (`cancelled`)."""

    summary: Payload | None
    started: datetime
    ended: datetime | None = None
    how: Ended = Ended.OPEN


@dataclass
class RunRecord:
    """All activities and timers of one execution in the order in which they were wanted.

    `previous` is the run id of the part before, `following` that of the part after, where the run continued as new.
    """

    activities: dict[int, Recorded] = field(default_factory=dict)
    timers: dict[int, Waited] = field(default_factory=dict)
    started: datetime | None = None
    ended: datetime | None = None
    last: datetime | None = None
    events: int = 0
    previous: str = ""
    following: str = ""


ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: Ended.DONE,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: Ended.FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: Ended.TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: Ended.CANCELLED,
}
RUN_ENDS = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
)


def record_of(events: Iterable[HistoryEvent]) -> RunRecord:
    """Read one execution's events."""
    record = RunRecord()
    for event in events:
        take(record, event)
    return record


def take(record: RunRecord, event: HistoryEvent) -> Recorded | None:
    """Add the next event to a record; returns the activity that began or ended with it, if one did."""
    when = event.event_time.ToDatetime(UTC)
    kind = event.event_type
    _add(record, event, when)
    if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        return record.activities[event.event_id]
    if kind in ENDS:
        return record.activities.get(getattr(event, event.WhichOneof("attributes") or "").scheduled_event_id)
    return None


def _add(record: RunRecord, event: HistoryEvent, when: datetime) -> None:
    kind = event.event_type
    record.events += 1
    record.last = when
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        record.started = when
        record.previous = event.workflow_execution_started_event_attributes.continued_execution_run_id
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        wanted = event.activity_task_scheduled_event_attributes
        record.activities[event.event_id] = Recorded(
            id=wanted.activity_id,
            name=wanted.activity_type.name,
            summary=_summary(event),
            asked=wanted.input,
            scheduled=when,
        )
    elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        _started(record, event, when)
    elif kind in ENDS:
        _ended(record, event, when, ENDS[kind])
    elif kind == EventType.EVENT_TYPE_TIMER_STARTED:
        record.timers[event.event_id] = Waited(_summary(event), when)
    elif kind == EventType.EVENT_TYPE_TIMER_FIRED:
        _over(record, event.timer_fired_event_attributes.started_event_id, when, Ended.DONE)
    elif kind == EventType.EVENT_TYPE_TIMER_CANCELED:
        _over(record, event.timer_canceled_event_attributes.started_event_id, when, Ended.CANCELLED)
    elif kind in RUN_ENDS:
        record.ended = when
        record.following = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id


def _summary(event: HistoryEvent) -> Payload | None:
    return event.user_metadata.summary if event.user_metadata.HasField("summary") else None


def _started(record: RunRecord, event: HistoryEvent, when: datetime) -> None:
    began = event.activity_task_started_event_attributes
    known = record.activities.get(began.scheduled_event_id)
    if known is not None:
        text, kind = failure_of(began.last_failure) if began.HasField("last_failure") else ("", "")
        record.activities[began.scheduled_event_id] = replace(
            known, started=when, attempt=began.attempt, failure=text, failure_type=kind, worker=began.identity
        )


def _ended(record: RunRecord, event: HistoryEvent, when: datetime, how: Ended) -> None:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    known = record.activities.get(attributes.scheduled_event_id)
    if known is None:
        return
    update: dict[str, object] = {"ended": when, "how": how}
    if how is not Ended.TIMED_OUT:
        update["by"] = attributes.identity
    if how is Ended.DONE:
        update["answer"] = attributes.result
    elif how is not Ended.CANCELLED:
        update["failure"], update["failure_type"] = failure_of(attributes.failure)
    record.activities[attributes.scheduled_event_id] = replace(known, **update)  # type: ignore[arg-type]  # names above


def _over(record: RunRecord, started: int, when: datetime, how: Ended) -> None:
    if started in record.timers:
        record.timers[started] = replace(record.timers[started], ended=when, how=how)


def failure_of(failure: Failure) -> tuple[str, str]:
    """Return the words and the type of the failure at the bottom."""
    while failure.HasField("cause"):
        failure = failure.cause
    named = failure.application_failure_info.type if failure.HasField("application_failure_info") else ""
    return failure.message, named
