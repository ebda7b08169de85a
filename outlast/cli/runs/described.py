"""What the server itself says of a run: enough for a page on a workflow that is none of ours, and what people hold up by hand."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from temporalio.client import WorkflowExecutionDescription, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import RawValue
from temporalio.service import RPCError

from outlast.cli.kinds import known
from outlast.cli.leaving import FAILED, LeavingError, cause_of, say
from outlast.cli.pages import duration, safe, show
from outlast.cli.printing import print_json
from outlast.cli.reaching import Reach, word
from outlast.cli.runs.waiting import may_be_left, outlasting
from outlast.contracts import RunStatus


def described(found: WorkflowExecutionDescription) -> dict[str, Any]:
    """Return what is known of any run, as data."""
    return {
        "id": found.id,
        "type": found.workflow_type,
        "state": word(found.status),
        "started": found.start_time.isoformat(),
        "closed": found.close_time.isoformat() if found.close_time else None,
        "took": duration(found.start_time, found.close_time),
        "events": found.history_length,
        "task_queue": found.task_queue,
        "held": held(found),
    }


def described_page(data: dict[str, Any]) -> list[RenderableType]:
    """Show it."""
    times = (
        f"started {data['started'][:19]}Z · {data['took']} · {data['events']} events · task queue {data['task_queue']}"
    )
    head = Text.assemble((safe(data["id"]), "bold"), safe(f" · {data['type']} · {data['state']}"))
    return [head, Text(safe(times)), *held_lines(data["held"])]


def held(found: WorkflowExecutionDescription) -> list[str]:
    """Say which activities somebody has paused, or moved to a task queue that is not the run's."""
    said = []
    for pending in found.raw_description.pending_activities:
        name = f"{pending.activity_type.name} (activity {pending.activity_id})"
        run = f"--workflow-id {shlex.quote(found.id)} --activity-id {shlex.quote(pending.activity_id)}"
        if pending.paused:
            manual = pending.pause_info.manual
            by = f" by {manual.identity}" if manual.identity else ""
            why = f" ({manual.reason})" if manual.reason else ""
            said.append(f"{name} is paused{by}{why} → temporal activity unpause {run}")
        moved = pending.activity_options.task_queue.name
        # Searches that a source wants spaced run on a task queue of their own, named after the run's.
        if moved and moved != found.task_queue and not moved.startswith(f"{found.task_queue}-"):
            options = f"{run} --task-queue {shlex.quote(found.task_queue)}"
            said.append(f"{name} waits on the task queue {moved!r} → temporal activity update-options {options}")
    return said


def held_lines(said: Sequence[str]) -> list[Text]:
    """Show what is held up."""
    return [Text(safe(line), style="bold") for line in said]


async def status_of(reach: Reach, found: WorkflowExecutionDescription) -> RunStatus | None:
    """Ask a run for its status; None where it is none of ours and has no such answer. Raises LeavingError as `Reach.ask` does."""
    try:
        return await reach.ask(found, "status", RunStatus)
    except (LeavingError, WorkflowQueryFailedError, RPCError, ValueError):
        if known(found.workflow_type):
            raise
        return None


async def foreign_result(reach: Reach, found: WorkflowExecutionDescription, *, as_json: bool) -> None:
    """Wait for a workflow that is none of ours, and show its result as JSON; raises LeavingError with the cause if it failed."""
    handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id, result_type=RawValue)
    result, error = None, None
    with may_be_left(found.id):
        try:
            result = _plain(await outlasting(handle, say))
        except WorkflowFailureError as failure:
            error = cause_of(failure)
    data = described(await reach.find(found.id, ours=False))
    if as_json:
        print_json({**data, "result": result, **({"error": error} if error else {})})
    else:
        shown = "" if result is None else json.dumps(result, indent=2, ensure_ascii=False)
        show([*([Text(safe(shown)), Text()] if shown else []), *described_page(data)])
    if error:
        raise LeavingError(FAILED, error)


def _plain(raw: RawValue | None) -> Any:
    if raw is None or not raw.payload.data:
        return None
    try:
        return json.loads(raw.payload.data)
    except ValueError:
        return raw.payload.data.decode(errors="replace")
