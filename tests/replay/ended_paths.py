"""The paths of rolling back a run that has ended: all of it, and a wish that cannot be met."""

from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.test_agent_session import SESSION, WRITING, in_turn, task
from workflows.agent_session import AgentSessionWorkflow
from workflows.contracts import Changes, RollbackPolicy, RollbackRequest
from workflows.rolling_back import RollbackWorkflow


def ended(policy: str) -> Path:
    async def request(runner: Runner) -> RollbackRequest:
        handle = await runner.start(SESSION, task())
        await handle.result()
        changes: Changes = await handle.query(AgentSessionWorkflow.changes)
        return RollbackRequest(run=handle.id, changes=changes, policy=RollbackPolicy.model_validate(policy))

    return Path(RollbackWorkflow.run, request, lambda: in_turn(*WRITING))


ENDED_PATHS: dict[str, Path] = {"ended-rolled-back": ended("all"), "ended-kept": ended("keep")}
