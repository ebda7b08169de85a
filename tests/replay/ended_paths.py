"""The paths of rolling back a run that has ended: all of it, undos that failed before, and a wish that cannot be met."""

from outlast.contracts import Changes, ChangeState, RollbackPolicy, RollbackRequest
from outlast.undo.workflow import RollbackWorkflow
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import SESSION, WRITING, in_turn, task
from workflows.agent_session import AgentSessionWorkflow


def ended(policy: str, *, failed: bool = False) -> Path:
    async def request(runner: Runner) -> RollbackRequest:
        handle = await runner.start(SESSION, task())
        await handle.result()
        changes: Changes = await handle.query(AgentSessionWorkflow.changes)
        if failed:
            stuck = [each.model_copy(update={"state": ChangeState.UNDO_FAILED}) for each in changes.changes]
            changes = changes.model_copy(update={"changes": tuple(stuck)})
        wanted = RollbackPolicy.model_validate(policy)
        return RollbackRequest(run=handle.id, changes=changes, policy=wanted, again=failed)

    return Path(RollbackWorkflow.run, request, lambda: in_turn(*WRITING))


ENDED_PATHS: dict[str, Path] = {
    "ended-rolled-back": ended("all"),
    "ended-kept": ended("keep"),
    "ended-tried-again": ended("all", failed=True),
}
