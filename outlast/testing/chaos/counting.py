"""Counts the calls of a case: which of them were made again, and which of those were in a process that was killed.

The double tells calls apart by all they hold, and which process of which worker each came from. History tells how many answers
of each run were used. An answer that came to a process that was killed a moment later may never have been known to it.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from outlast.activity.waiting import LONGEST_PAUSE
from outlast.testing.chaos.stack import Stack

MOMENT = 1.5
"""Seconds that an answer may take from the API to the record of it, on a machine that is busy."""


@dataclass(frozen=True)
class Counted:
    """Calls made again without a reason, and how many there were with one."""

    finished: list[str]
    live: list[str]
    excused: int


async def count(stack: Stack, hits: Sequence[dict[str, Any]], runs: Sequence[str]) -> Counted:
    """Count the calls of runs that have ended."""
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for hit in hits:
        of[hit["run"]].append(hit)
    finished: list[str] = []
    live: list[str] = []
    excused = 0
    for run in runs:
        counted = _count(run, of[run], await used_answers(stack.client, run), stack)
        finished += counted.finished
        live += counted.live
        excused += counted.excused
    return Counted(finished, live, excused)


def _count(run: str, hits: list[dict[str, Any]], used: int, stack: Stack) -> Counted:
    answered = [hit for hit in hits if hit["outcome"] == "answered"]
    lost = [hit for hit in answered if _may_be_lost(hit, stack)]
    last = {hit["digest"]: hit["n"] for hit in hits}
    again = Counter(hit["digest"] for hit in answered) - Counter(hit["digest"] for hit in lost)
    # One prompt may be meant to be asked several times, by voters of one mind: only what no answer was used for is too much.
    surplus = min(len(answered) - len(lost) - used, sum(times - 1 for times in again.values()))
    finished = [
        f"{run}: {_shown(next(hit for hit in hits if hit['digest'] == digest))} answered {times} times"
        for digest, times in again.items()
        if times > 1 and surplus > 0
    ][: max(surplus, 0)]
    # One that is not made again was broken off on purpose: by a person who interrupts, or by a vote that is decided.
    left = [hit for hit in hits if hit["outcome"] == "abandoned" and hit["n"] != last[hit["digest"]]]
    live = [f"{run}: {_shown(hit)}" for hit in left if not _may_be_lost(hit, stack)]
    return Counted(finished, live, len(lost) + len(left) - len(live))


def _may_be_lost(hit: dict[str, Any], stack: Stack) -> bool:
    """Whether the process or the connection of a call was cut while it ran, or a moment after its answer."""
    ended = hit["ended"] or float("inf")
    # An answer that came while no file could grow is kept a while after one can: until the worker looks again.
    ended = max(
        ended, *(until + LONGEST_PAUSE for began, until in stack.full if began <= ended + MOMENT and ended <= until), 0
    )
    end, harsh = stack.ends.get(hit["worker"], (float("inf"), False))
    if harsh and end <= ended + MOMENT:  # a process that was killed made its last calls before, whenever they are read
        return True
    return any(hit["started"] <= until and ended + MOMENT >= began for began, until in stack.cut)


def _shown(hit: dict[str, Any]) -> str:
    return f"{hit['worker']} {hit['system'][:40]!r} turn {hit['turn']} {hit['user'][:60]!r} {hit['started']:.2f} {hit['ended']}"


async def used_answers(client: Client, run: str) -> int:
    """Count the model calls of a run, its continuations included, whose answers are in its history."""
    used, run_id = 0, (await first_run(client, run))
    while run_id:
        calls: set[int] = set()
        following = ""
        async for event in client.get_workflow_handle(run, run_id=run_id).fetch_history_events():
            scheduled = event.activity_task_scheduled_event_attributes
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                if scheduled.activity_type.name == "call_model":
                    calls.add(event.event_id)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                used += event.activity_task_completed_event_attributes.scheduled_event_id in calls
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                following = event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        run_id = following
    return used


async def first_run(client: Client, run: str) -> str:
    """Return the id of the first run of a chain."""
    found = (await client.get_workflow_handle(run).describe()).raw_description.workflow_execution_info
    return found.first_run_id or found.execution.run_id
