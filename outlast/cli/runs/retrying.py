"""Which calls of a running run are waiting out an outage or are made again: why, and when the next attempt is."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.client import WorkflowExecutionDescription

REASON = 160
"""Characters of an error that are shown."""


def retries_of(found: WorkflowExecutionDescription, now: datetime | None = None) -> list[dict[str, Any]]:
    """List the calls that have failed and are tried again, with the seconds to the next attempt (0: it is being made)."""
    now = now or datetime.now(UTC)
    retries = []
    for pending in found.raw_description.pending_activities:
        if not pending.HasField("last_failure"):
            continue
        from outlast.cli.recorded.events import failure_of  # slow to import, and seldom needed

        text, kind = failure_of(pending.last_failure)
        retries.append(
            {
                "activity": pending.activity_type.name,
                "attempt": pending.attempt,
                "next_in": _seconds_to(pending.next_attempt_schedule_time, now),
                "error": kind,
                "reason": " ".join(text.split())[:REASON],
            }
        )
    return retries


def retry_lines(retries: list[dict[str, Any]]) -> list[str]:
    """Write them for people, one line each."""
    lines = []
    for retry in retries:
        when = f"tried again in {retry['next_in']:.0f} s" if retry["next_in"] else "being tried again"
        why = ": ".join(filter(None, (retry["error"], retry["reason"])))
        lines.append(f"waiting · {retry['activity']} · attempt {retry['attempt']}, {when} · {why}")
    return lines


def _seconds_to(stamp: Timestamp, now: datetime) -> float:
    """Return the seconds to a moment; 0 for one that is past or that was never set."""
    return max(0.0, round((stamp.ToDatetime(UTC) - now).total_seconds(), 1))
