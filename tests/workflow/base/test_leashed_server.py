"""A time-skipping server that hangs costs the test that waits for it, and no other."""

import pytest
from psutil import Process
from temporalio.service import RPCError

from outlast.client import Settings
from outlast.contracts import Plan, PlanRequest, PlanStep
from outlast.storage.activities import ContentStore
from tests.conftest import binary
from tests.leashed_server import servers, time_skipping
from tests.workflow.conftest import Runner
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = Plan(steps=(PlanStep(step="1", agent="writer", input="Write"),))


async def test_a_server_that_hangs_is_killed_and_everything_ends(settings: Settings, store: ContentStore) -> None:
    before = servers()
    async with time_skipping(settings, binary("temporal-test-server"), patience=4) as environment:
        runner = Runner(environment, settings, store)
        (server,) = servers() - before

        async def hangs() -> str:
            server.suspend()
            return "said"

        async with runner.worker(lambda call: hangs()):
            handle = await runner.start(PlanAndExecuteWorkflow.run, PlanRequest(plan=PLAN))
            with pytest.raises(RPCError):
                await handle.result()
    assert server not in Process().children()
