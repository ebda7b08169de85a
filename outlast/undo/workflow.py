"""Rolls back the changes of a run that has ended, and so cannot do it itself.

Two people may ask for it, and the run may have undone some of it. So each undo goes by the key of its call, which
is undone once however many ask, and what is settled stays as it is.
"""

from temporalio import workflow

from outlast.contracts import ChangeState, Extent, RollbackRequest, RollbackResult, RunState
from outlast.errors import ErrorKind, non_retryable
from outlast.workflow.base import AgentWorkflow


@workflow.defn
class RollbackWorkflow(AgentWorkflow[RollbackRequest, RollbackResult]):
    """Rolls back an ended run, last change first; never fails because an undo does."""

    undoes = False

    @workflow.init
    def __init__(self, request: RollbackRequest) -> None:
        super().__init__(request)
        self.undo.adopt(request.changes, of=request.run, again=request.again)

    @workflow.run
    async def run(self, request: RollbackRequest) -> RollbackResult:
        """Undo changes as far as the policy says; raises InputInvalid where there is nothing to do."""
        names = [point.name for point in self.undo.changes.checkpoints]
        wanted = request.policy.checkpoint
        if wanted and wanted not in names:
            known = f"there are {', '.join(names)}" if names else "it reached none"
            raise non_retryable(ErrorKind.INPUT_INVALID, f"policy.checkpoint: {request.run} has no {wanted!r}; {known}")
        if request.policy.extent is Extent.KEEP:
            raise non_retryable(
                ErrorKind.INPUT_INVALID, "policy.extent: keep rolls nothing back; write all, or a checkpoint"
            )
        changes = await self.undo.roll_back(request.policy, request.reason)
        left = changes.having(ChangeState.UNDO_FAILED, ChangeState.NOT_UNDOABLE)
        self.state.close(RunState.PARTIAL if left else RunState.COMPLETED)
        return RollbackResult(state=self.state.phase, run=request.run, changes=changes, spend=self.state.spend)
