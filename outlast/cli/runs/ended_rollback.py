"""Rolls back a run that has ended: a workflow of its own undoes what the run says that it changed.

Asked twice, it must not begin twice. So the new run's id is made of the old run's, and the second call finds the first;
it begins again under that id only where the one before has ended and undos of it failed.
"""

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.kinds import ROLLBACK
from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.cli.reaching import PATIENT_DEADLINE, Reach, word
from outlast.cli.recorded.delegates import with_changes_below
from outlast.cli.rendering import safe
from outlast.command_line import command
from outlast.contracts import (
    ROLL_BACK_ALL,
    Changes,
    ChangeState,
    Extent,
    RollbackPolicy,
    RollbackRequest,
    RollbackResult,
)
from outlast.undo import rollback_id


async def roll_back_ended(reach: Reach, found: WorkflowExecutionDescription, checkpoint: str) -> tuple[str, bool]:
    """Undo the changes of an ended run; returns what became of them, and whether all are undone.

    Raises LeavingError where there is nothing to undo.
    """
    ended = f"{found.id} had ended already ({word(found.status)})"
    if not await reach.served(found):
        raise await reach.no_worker(found, f"{ended}, and only a worker knows what it changed")
    changes = await reach.ask(found, "changes", Changes, within=PATIENT_DEADLINE)
    changes = await with_changes_below(reach, found, changes)
    if not changes.having(ChangeState.DONE, ChangeState.REGISTERED, ChangeState.UNDO_FAILED):
        raise LeavingError(
            WRONG, f"{ended}, and there is nothing to roll back: {changes.summary or 'it changed nothing'}"
        )
    names = [point.name for point in changes.checkpoints]
    if checkpoint and checkpoint not in names:
        known = f"there are {', '.join(names)}" if names else "it reached none"
        raise LeavingError(WRONG, f"{ended}; it has no checkpoint {checkpoint!r}: {known}")
    policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint=checkpoint) if checkpoint else ROLL_BACK_ALL
    again = bool(changes.having(ChangeState.UNDO_FAILED))
    request = RollbackRequest(run=found.id, changes=changes, policy=policy, again=again)
    handle = await _begun(reach, found, request)
    result: RollbackResult = await handle.result()
    return rollback_page(found.id, result.changes)


def rollback_page(workflow_id: str, changes: Changes) -> tuple[str, bool]:
    """List the changes of a rolled back run, and say whether all of them are undone."""
    rows = [f"  {each.state:14} {each.step} · {each.tool}({each.arguments}) {each.note}" for each in changes.changes]
    left = changes.having(ChangeState.UNDO_FAILED, ChangeState.NOT_UNDOABLE)
    if changes.having(ChangeState.UNDO_FAILED):
        rows.append(f"  try again what could not be undone: {command('rollback', workflow_id)}")
    head = f"{workflow_id} is rolled back: {changes.summary or 'nothing was changed'}"
    return "\n".join(safe(line) for line in [head, *rows]), not left and not changes.forgotten


async def _begun(
    reach: Reach, found: WorkflowExecutionDescription, request: RollbackRequest
) -> "WorkflowHandle[object, RollbackResult]":
    """Start the rollback of a run, or find the one that was started before; what failed in that one is tried again."""
    name = rollback_id(found.run_id, request.policy.checkpoint)
    before = await _before(reach, name)
    reuse = WorkflowIDReusePolicy.REJECT_DUPLICATE
    if before is not None:
        if not before.having(ChangeState.UNDO_FAILED):
            say(f"{found.id} was rolled back before: {name}")
            return reach.client.get_workflow_handle(name, result_type=RollbackResult)
        say(f"{found.id} was rolled back before, and not all of it: {name}; what failed is tried again")
        request = request.model_copy(update={"changes": before, "again": True})
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE
    try:
        handle = await reach.client.start_workflow(
            ROLLBACK,
            request,
            id=name,
            task_queue=found.task_queue,
            result_type=RollbackResult,
            static_summary=f"roll back {found.id}"[:200],
            id_reuse_policy=reuse,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
    except WorkflowAlreadyStartedError:
        say(f"{found.id} is being rolled back already: {name}")
        return reach.client.get_workflow_handle(name, result_type=RollbackResult)
    say(f"started {name}")
    return handle


async def _before(reach: Reach, name: str) -> Changes | None:
    """Return what an earlier rollback that ran to its end left behind, or None; then a start decides who is first."""
    handle = reach.client.get_workflow_handle(name, result_type=RollbackResult)
    try:
        found = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return (await handle.result()).changes if found.status is WorkflowExecutionStatus.COMPLETED else None
