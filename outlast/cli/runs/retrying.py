"""Which calls of a running run wait for what is away, in place or until their next attempt: why, since when, until when."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowExecutionDescription

from outlast.cli.reaching import Reach
from outlast.contracts import OutageWait

REASON = 160
"""Characters of an error that are shown."""


class Waiting(BaseModel):
    """A call that waits in place: it goes on by itself when what it waits for is back."""

    activity: str
    """Which activity waits."""
    waits_for: str
    """What is away."""
    setting: str
    """Name of the setting that bounds the wait."""
    reason: str
    """What it answered, or that it does not answer."""
    since: datetime
    """When the wait began (UTC)."""
    until: datetime
    """When it is over at the latest (UTC)."""


class Retried(BaseModel):
    """A call that has failed, and is made again."""

    activity: str
    """Which activity failed."""
    attempt: int
    """Which attempt comes next, or is being made."""
    next_in: float
    """Seconds until then; 0: it is being made."""
    error: str
    """Kind of the error of its last attempt."""
    reason: str
    """What that error says."""


async def waits_of(reach: Reach, found: WorkflowExecutionDescription) -> list[Waiting]:
    """List the calls that wait in place for what is away, by their last heartbeats."""
    from outlast.cli.recorded.reading import Decoding  # slow to import, and seldom needed

    waits = []
    for pending in found.raw_description.pending_activities:
        sent = pending.heartbeat_details.payloads[1:]
        if not sent or pending.state != PendingActivityState.PENDING_ACTIVITY_STATE_STARTED:
            continue
        wait = await Decoding(reach, found.id).read(Payloads(payloads=sent), OutageWait)
        if wait is not None and wait.attempt == pending.attempt:
            shown = wait.model_dump(exclude={"attempt"})
            waits.append(Waiting(activity=pending.activity_type.name, **shown))
    return waits


def wait_lines(waits: Sequence[Waiting]) -> list[str]:
    """Write them for people, one line each, the same at every look."""
    return [
        f"waiting · {wait.activity} · for {wait.waits_for} since {wait.since:%Y-%m-%d %H:%M:%S}, "
        f"until {wait.until:%Y-%m-%d %H:%M:%S} UTC at the latest ({wait.setting}) · {wait.reason}"
        for wait in waits
    ]


def retries_of(found: WorkflowExecutionDescription, now: datetime | None = None) -> list[Retried]:
    """List the calls that have failed and are tried again, with the seconds to the next attempt (0: it is being made)."""
    now = now or datetime.now(UTC)
    retries = []
    for pending in found.raw_description.pending_activities:
        if not pending.HasField("last_failure"):
            continue
        from outlast.cli.recorded.events import failure_of  # slow to import, and seldom needed

        text, kind = failure_of(pending.last_failure)
        retries.append(
            Retried(
                activity=pending.activity_type.name,
                attempt=pending.attempt,
                next_in=_seconds_to(pending.next_attempt_schedule_time, now),
                error=kind,
                reason=" ".join(text.split())[:REASON],
            )
        )
    return retries


def retry_lines(retries: Sequence[Retried]) -> list[str]:
    """Write them for people, one line each."""
    lines = []
    for retry in retries:
        when = f"tried again in {retry.next_in:.0f} s" if retry.next_in else "being tried again"
        why = ": ".join(filter(None, (retry.error, retry.reason)))
        lines.append(f"waiting · {retry.activity} · attempt {retry.attempt}, {when} · {why}")
    return lines


def _seconds_to(stamp: Timestamp, now: datetime) -> float:
    """Return the seconds to a moment; 0 for one that is past or that was never set."""
    return max(0.0, round((stamp.ToDatetime(UTC) - now).total_seconds(), 1))
