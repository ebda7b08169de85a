"""Pause and resume: what runs finishes, nothing new starts, and the rest of the run works as ever."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from outlast.contracts import PlanRequest, RunState, RunStatus, StepState
from outlast.llm.base import ModelCall
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import asked, at_a_checkpoint, decided, status_when
from tests.workflow.plans.test_plan_and_execute import RUN, plan_of, step
from tests.workflow.talking.test_agent_session import SESSION, WRITING, in_turn, task


class Held:
    """A model that answers each call once it is let go."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    def __call__(self, call: ModelCall) -> Any:
        return self._answer()

    async def _answer(self) -> str:
        await self.free.wait()
        return "done"


def states(status: RunStatus) -> list[StepState]:
    return [row.state for row in status.steps]


async def test_paused_steps_finish_and_nothing_starts_until_it_is_resumed(runner: Runner) -> None:
    model = Held()
    plan = plan_of(step(1), step(2), step(3, depends_on=[1]), step(4, depends_on=[3, 2]))
    async with runner.worker(model) as llm:
        handle = await runner.start(RUN, PlanRequest(plan=plan, checkpoint="steps=4"))
        await status_when(handle, lambda status: states(status)[:2] == [StepState.RUNNING] * 2)
        said = await asked(handle, "pause", {"by": "ada", "reason": "lunch"})
        assert said.accepted
        twice = await asked(handle, "pause")
        assert (twice.accepted, twice.paused) == (False, said.paused)
        assert twice.reason.startswith("it is paused by ada since ")
        model.free.set()
        await status_when(handle, lambda status: states(status)[:2] == [StepState.DONE] * 2)
        await runner.env.sleep(timedelta(minutes=10))
        status = await handle.query("status", result_type=RunStatus)
        assert states(status) == [StepState.DONE, StepState.DONE, StepState.PENDING, StepState.PENDING]
        assert len(llm.calls) == 2
        assert status.paused == said.paused
        assert "lunch" in status.notices[-1]
        await handle.signal("resume", '{"by": "bob"}')
        result = await handle.result()
    assert (result.state, len(llm.calls)) == (RunState.COMPLETED, 4)


async def test_junk_neither_pauses_nor_resumes_and_gates_open_while_paused(runner: Runner) -> None:
    model = Held()
    model.free.set()
    async with runner.worker(model) as llm:
        handle = await runner.start(RUN, PlanRequest(plan=plan_of(step(1)), checkpoint="after-plan"))
        await at_a_checkpoint(handle)
        junks: list[list[Any]] = [[1], [["a"]], ['{"who"'], [{"why": "x"}], ["a", "b"], [{"by": []}]]
        for junk in junks:
            assert not (await asked(handle, "pause", *junk)).accepted
        assert (await asked(handle, "resume")).reason == "it is not paused"
        await handle.signal("pause", "wait")
        await decided(handle, "approve")
        status = await status_when(handle, lambda status: not status.gates)
        assert status.paused is not None
        assert (status.paused.by, status.paused.reason) == ("somebody", "wait")
        assert not llm.calls
        assert (await asked(handle, "resume")).accepted
        assert (await handle.result()).done == 1


async def test_a_paused_run_can_be_cancelled_and_its_changes_are_taken_back(runner: Runner) -> None:
    async with runner.worker(in_turn(*WRITING)) as llm:
        handle = await runner.start(SESSION, task(on_failure={"extent": "all"}))
        await handle.signal("pause")
        await status_when(handle, lambda status: status.paused)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert len(llm.calls) <= 1
