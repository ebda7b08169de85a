"""What is known of a run whose gates wait, read from its memo; a worker adds the steps, the log, and arguments in full.

The trap: a workflow of others may use the memo's name for something else, so what does not read as gates is passed over.
"""

import asyncio
import json
from dataclasses import dataclass

from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import Content
from cli.leaving import WRONG, LeavingError
from cli.reaching import Reach
from workflows.contracts import GATES_MEMO, RECORDS_MEMO, DecisionLog, GatesShown, GateView, RunStatus, WaitingActions

ANSWERS_WITHIN = 3.0
"""Seconds that a page waits for a worker's answer before it shows what the server alone knows."""


@dataclass(frozen=True)
class RunSeen:
    """What is known of a run: `status` is None where no worker answers, and the log then holds the newest records only."""

    found: WorkflowExecutionDescription
    shown: GatesShown
    log: DecisionLog
    status: RunStatus | None = None


async def see_run(reach: Reach, workflow_id: str, *, whole: bool = True) -> RunSeen:
    """Look at a run; raises LeavingError if there is none. Without `whole` no worker is asked."""
    try:
        found = await reach.client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise LeavingError(WRONG, f"there is no run {workflow_id!r}") from error
        raise
    seen = RunSeen(found, await _shown(found), await _records(found))
    if not whole or not await reach.served(found.task_queue):
        return seen
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            status, log, proposed = await asyncio.gather(
                handle.query("status", result_type=RunStatus),
                handle.query("decisions", result_type=DecisionLog),
                handle.query("proposed", result_type=WaitingActions),
            )
            shown = seen.shown.model_copy(
                update={"waiting": tuple([await _whole(reach, gate, proposed) for gate in seen.shown.waiting])}
            )
    except Exception:  # a workflow of others, or a worker that is gone: the page says that only the server was asked
        return seen
    return RunSeen(found, shown, log, status)


async def _whole(reach: Reach, gate: GateView, proposed: WaitingActions) -> GateView:
    """Show a gate's arguments in full, if they are still those of the action that the gate names."""
    action = proposed.actions.get(gate.name)
    if action is None or action.digest != gate.digest:
        return gate
    if action.ref is not None:
        return gate.model_copy(update={"arguments": await reach.store(waits=False).text(Content(ref=action.ref))})
    return gate.model_copy(update={"arguments": json.dumps(dict(action.input), ensure_ascii=False)})


async def _shown(run: WorkflowExecution) -> GatesShown:
    try:
        shown: GatesShown = await run.memo_value(GATES_MEMO, GatesShown(), type_hint=GatesShown)
    except ValueError:
        return GatesShown()
    return shown


async def _records(run: WorkflowExecution) -> DecisionLog:
    try:
        log: DecisionLog = await run.memo_value(RECORDS_MEMO, DecisionLog(), type_hint=DecisionLog)
    except ValueError:
        return DecisionLog()
    return log
