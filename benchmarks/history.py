"""What a run left in its history: events and bytes, which no noise can touch, and where its time went.

Event times are the server's; a leg is what lies between two events, whoever used it.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle

MILLISECONDS = 1e3


async def read_history(handle: WorkflowHandle[Any, Any], steps: int, latency: float) -> dict[str, Any]:
    """Return size and legs of a finished run's history; `latency` (seconds) is the model's share of each activity."""
    events = [event async for event in handle.fetch_history_events()]
    description = await handle.describe()
    size = description.raw_description.workflow_execution_info.history_size_bytes
    kinds = Counter(_kind(event) for event in events)
    return {
        "events": len(events),
        "events_per_step": round(len(events) / steps, 2),
        "bytes": size,
        "bytes_per_step": round(size / steps),
        "workflow_tasks": kinds["WORKFLOW_TASK_COMPLETED"],
        "activities": kinds["ACTIVITY_TASK_SCHEDULED"],
        "legs_ms": legs(events, latency),
    }


def legs(events: Sequence[HistoryEvent], latency: float) -> dict[str, float]:
    """Return the median of each leg in milliseconds, and what lies before the first activity and after the last."""
    by_id = {event.event_id: event for event in events}
    found: dict[str, list[float]] = {}

    def add(name: str, start: int, end: HistoryEvent, less: float = 0.0) -> None:
        found.setdefault(name, []).append((_time(end) - _time(by_id[start]) - less) * MILLISECONDS)

    for event in events:
        if event.HasField("activity_task_completed_event_attributes"):
            activity = event.activity_task_completed_event_attributes
            started = by_id[activity.started_event_id]
            add("activity scheduled to started", activity.scheduled_event_id, started)
            add("activity started to completed, less latency", activity.started_event_id, event, latency)
        elif event.HasField("workflow_task_completed_event_attributes"):
            task = event.workflow_task_completed_event_attributes
            add("workflow task scheduled to started", task.scheduled_event_id, by_id[task.started_event_id])
            add("workflow task started to completed", task.started_event_id, event)
    medians = {name: round(statistics.median(values), 1) for name, values in found.items()}
    return medians | _ends(events)


def _ends(events: Sequence[HistoryEvent]) -> dict[str, float]:
    scheduled = [event for event in events if _kind(event) == "ACTIVITY_TASK_SCHEDULED"]
    completed = [event for event in events if _kind(event) == "ACTIVITY_TASK_COMPLETED"]
    if not scheduled or not completed:
        return {}
    return {
        "start to first activity": round((_time(scheduled[0]) - _time(events[0])) * MILLISECONDS, 1),
        "last activity to end": round((_time(events[-1]) - _time(completed[-1])) * MILLISECONDS, 1),
    }


def merge_legs(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each leg over several runs."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: round(statistics.median(run[name] for run in runs if name in run), 1) for name in names}


def _kind(event: HistoryEvent) -> str:
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")


def _time(event: HistoryEvent) -> float:
    return event.event_time.seconds + event.event_time.nanos / 1e9
