"""However a run ends, its status says so: nobody sees a run that was cancelled or refused going on for ever."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError

from outlast.contracts import Plan, PlanRequest, PlanStep, RunState, RunStatus
from tests.workflow.conftest import Runner
from workflows.plan_and_execute import PlanAndExecuteWorkflow

RUN = PlanAndExecuteWorkflow.run


def one_step(agent: str) -> PlanRequest:
    return PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent=agent, input="do it"),)))


async def test_a_cancelled_run_is_cancelled(real_runner: Runner) -> None:
    asked = asyncio.Event()

    async def hold() -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    async with real_runner.worker(lambda _: hold()):
        handle = await real_runner.start(RUN, one_step("writer"))
        await asked.wait()
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        status: RunStatus = await handle.query(PlanAndExecuteWorkflow.status)
    assert status.state is RunState.CANCELLED


async def test_a_refused_run_has_failed(runner: Runner) -> None:
    async with runner.worker(lambda _: "never asked"):
        handle = await runner.start(RUN, one_step("nobody"))
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        status: RunStatus = await handle.query(PlanAndExecuteWorkflow.status)
    assert status.state is RunState.FAILED
