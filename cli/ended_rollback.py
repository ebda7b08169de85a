"""Rolls back a run that has ended: a workflow of its own takes back what the run says that it changed.

The trap: asked twice, it must not begin twice. So the new run's id is made of the old run's, and the second call finds the first.
"""

from temporalio.client import WorkflowExecutionDescription, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from cli.leaving import WRONG, LeavingError, say
from cli.pages import safe
from cli.reaching import ROLLBACK, Reach, no_worker, word
from workflows.contracts import (
    ROLL_BACK_ALL,
    Changes,
    ChangeState,
    Extent,
    RollbackPolicy,
    RollbackRequest,
    RollbackResult,
)


async def roll_back_ended(reach: Reach, found: WorkflowExecutionDescription, checkpoint: str) -> tuple[str, bool]:
    """Take back the changes of an ended run; returns what became of them, and whether all are taken back.

    Raises LeavingError where there is nothing to take back.
    """
    ended = f"{found.id} had ended already ({word(found.status)})"
    if not await reach.served(found.task_queue):
        raise no_worker(found.task_queue, f"{ended}, and only a worker knows what it changed")
    changes = await reach.ask(found, "changes", Changes)
    if not changes.having(ChangeState.DONE, ChangeState.REGISTERED):
        raise LeavingError(
            WRONG, f"{ended}, and there is nothing to roll back: {changes.summary or 'it changed nothing'}"
        )
    names = [point.name for point in changes.checkpoints]
    if checkpoint and checkpoint not in names:
        known = f"there are {', '.join(names)}" if names else "it reached none"
        raise LeavingError(WRONG, f"{ended}; it has no checkpoint {checkpoint!r}: {known}")
    policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint=checkpoint) if checkpoint else ROLL_BACK_ALL
    handle = await _begun(reach, found, RollbackRequest(run=found.id, changes=changes, policy=policy))
    result: RollbackResult = await handle.result()
    return told(found.id, result.changes)


def told(workflow_id: str, changes: Changes) -> tuple[str, bool]:
    """List the changes of a rolled back run, and say whether all of them are taken back."""
    rows = [f"  {each.state:14} {each.step} · {each.tool}({each.arguments}) {each.note}" for each in changes.changes]
    left = changes.having(ChangeState.UNDO_FAILED, ChangeState.NOT_UNDOABLE)
    head = f"{workflow_id} is rolled back: {changes.summary or 'nothing was changed'}"
    return "\n".join(safe(line) for line in [head, *rows]), not left and not changes.forgotten


async def _begun(
    reach: Reach, found: WorkflowExecutionDescription, request: RollbackRequest
) -> "WorkflowHandle[object, RollbackResult]":
    """Start the rollback of a run, or find the one that was started before."""
    extent = f"-to-{request.policy.checkpoint}" if request.policy.checkpoint else ""
    name = f"rollback-{found.run_id}{extent}"
    try:
        handle = await reach.client.start_workflow(
            ROLLBACK,
            request,
            id=name,
            task_queue=found.task_queue,
            result_type=RollbackResult,
            static_summary=f"roll back {found.id}"[:200],
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
    except WorkflowAlreadyStartedError:
        say(f"{found.id} was rolled back before: {name}")
        return reach.client.get_workflow_handle(name, result_type=RollbackResult)
    say(f"started {name}")
    return handle
