"""The state of a run: from its queries, or its history where the worker is busy; of foreign workflows from the server alone."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from temporalio.client import WorkflowExecutionDescription, WorkflowQueryFailedError
from temporalio.service import RPCError

from outlast.cli.decisions.listing import gates_of, questions_of
from outlast.cli.kinds import known
from outlast.cli.leaving import LeavingError, NeverBegunError, why_failed
from outlast.cli.reaching import Reach, WorkerBusyError, begins_at, word
from outlast.cli.rendering import duration, safe
from outlast.contracts import RunStatus, Trace


@dataclass(frozen=True)
class Standing:
    """How a run stands; `busy` says why it is read from its history, "" where its worker answered; `error` is why it failed."""

    status: RunStatus
    trace: Trace
    busy: str = ""
    error: str = ""


def described(found: WorkflowExecutionDescription) -> dict[str, Any]:
    """Return what is known of any run, as data."""
    return {
        "id": found.id,
        "type": found.workflow_type,
        "state": word(found.status),
        "started": found.start_time.isoformat(),
        "closed": found.close_time.isoformat() if found.close_time else None,
        "begins": begins.isoformat() if (begins := begins_at(found)) else None,
        "took": duration(found.execution_time or found.start_time, found.close_time),
        "events": found.history_length,
        "task_queue": found.task_queue,
        "held": held(found),
    }


def described_page(data: dict[str, Any]) -> list[RenderableType]:
    """Show it."""
    state = "delayed" if data["begins"] else data["state"]
    begun = f"begins {data['begins'][:19]}Z" if data["begins"] else f"started {data['started'][:19]}Z · {data['took']}"
    times = f"{begun} · {data['events']} events · task queue {data['task_queue']}"
    head = Text.assemble((safe(data["id"]), "bold"), safe(f" · {data['type']} · {state}"))
    return [head, Text(safe(times)), *held_lines(data["held"])]


def held(found: WorkflowExecutionDescription) -> list[str]:
    """Return which activities somebody has paused, or moved to a task queue that is not the run's."""
    lines = []
    for pending in found.raw_description.pending_activities:
        name = f"{pending.activity_type.name} (activity {pending.activity_id})"
        run = f"--workflow-id {shlex.quote(found.id)} --activity-id {shlex.quote(pending.activity_id)}"
        if pending.paused:
            manual = pending.pause_info.manual
            by = f" by {manual.identity}" if manual.identity else ""
            why = f" ({manual.reason})" if manual.reason else ""
            lines.append(f"{name} is paused{by}{why} → temporal activity unpause {run}")
        moved = pending.activity_options.task_queue.name
        # Searches that a source wants spaced run on a task queue of their own, named after the run's.
        if moved and moved != found.task_queue and not moved.startswith(f"{found.task_queue}-"):
            options = f"{run} --task-queue {shlex.quote(found.task_queue)}"
            lines.append(f"{name} waits on the task queue {moved!r} → temporal activity update-options {options}")
    return lines


def error_lines(error: str) -> list[Text]:
    """Show why a run failed: before its first step, there is no step that says so."""
    return [Text(safe(f"failed: {error}"), style="red")] if error else []


def held_lines(lines: Sequence[str]) -> list[Text]:
    """Show what is held up."""
    return [Text(safe(line), style="bold") for line in lines]


async def standing(reach: Reach, found: WorkflowExecutionDescription, *, trace: bool = False) -> Standing | None:
    """Return how a run stands, with `trace` its calls too; None for a workflow of others, which has no such answer.

    Raises LeavingError where the server knows of no worker that could answer.
    """
    try:
        status = await reach.status(found)
        calls = await reach.trace(found) if trace else Trace()
        return Standing(status, calls, error=await why_failed(reach.client, found))
    except (WorkerBusyError, NeverBegunError) as silent:
        from outlast.cli.recorded.status import recorded_status

        shown = await gates_of(found)
        gates = shown.waiting
        status, calls = await recorded_status(reach, found, gates, shown.standing, await questions_of(found))
        busy = f"{silent}. Shown is what its history says." if isinstance(silent, WorkerBusyError) else ""
        if busy and not (status.steps or gates or known(found.workflow_type)):
            return None  # nothing in its history is ours
        return Standing(status, calls, busy, await why_failed(reach.client, found))
    except (LeavingError, WorkflowQueryFailedError, RPCError, ValueError):
        if known(found.workflow_type):
            raise
        return None
