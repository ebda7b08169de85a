"""The paths of runs that people steer: checkpoints continued, edited, stopped and left alone; and pauses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from outlast.contracts import PlanRequest, StepState
from outlast.llm.base import ModelCall
from outlast.stages.contracts import StagedRequest
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import Handle, asked, at_a_checkpoint, decided, refusal, status_when
from tests.workflow.plans.staging import TASK, one_step, stage
from tests.workflow.plans.staging import scripted as staged_script
from tests.workflow.plans.test_plan_and_execute import RUN, plan_json, plan_of, scripted, step
from tests.workflow.talking.test_agent_session import SESSION, WRITING, in_turn, task
from workflows.staged_delivery import StagedDeliveryWorkflow

People = Callable[[Handle], Awaitable[None]]
THREE = (step(1), step(2, depends_on=[1]), step(3, depends_on=[2]))
LONG = "x" * 1000
"""An input with which what is ahead no longer fits into the gate."""


def planned(checkpoint: str, people: People | None = None, *, do: str = "do 3") -> Path:
    async def request(runner: Runner) -> PlanRequest:
        steps = (*THREE[:2], step(3, do=do, depends_on=[2]))
        return PlanRequest.model_validate({"plan": plan_of(*steps), "checkpoint": checkpoint})

    return Path(RUN, request, scripted, people=people)


def delivered(checkpoint: str, people: People, *, sub_steps: int = 1) -> Path:
    async def request(runner: Runner) -> StagedRequest:
        stages = [stage(name, max_steps=sub_steps) for name in ("one", "two")]
        return StagedRequest.model_validate({"task": TASK, "stages": stages, "checkpoint": checkpoint})

    return Path(StagedDeliveryWorkflow.run, request, lambda: staged_script(one_step), people=people)


def session(people: People, **fields: Any) -> Path:
    async def request(runner: Runner) -> Any:
        return task(**fields)

    return Path(SESSION, request, lambda: in_turn(*WRITING), people=people)


async def _by_planner(runner: Runner) -> PlanRequest:
    return PlanRequest.model_validate({"task": "t", "checkpoint": "after-plan"})


async def go_on(handle: Handle) -> None:
    await at_a_checkpoint(handle)
    await decided(handle, "approve")


async def go_on_with_digest(handle: Handle) -> None:
    (gate,) = (await at_a_checkpoint(handle)).gates
    await decided(handle, "approve", digest=gate.digest)


async def edit(handle: Handle) -> None:
    await at_a_checkpoint(handle)
    await refusal(handle, edit={"plan": {"steps": [step(4, "nobody")]}})
    await decided(handle, "approve", edit={"plan": {"steps": [step(4, depends_on=[2])]}})


async def edit_stages(handle: Handle) -> None:
    await at_a_checkpoint(handle)
    await decided(handle, "approve", edit={"stages": [stage("three").model_dump(mode="json")]})


async def stop(handle: Handle) -> None:
    await at_a_checkpoint(handle)
    await decided(handle, "deny")


async def pause_and_resume(handle: Handle) -> None:
    await status_when(handle, lambda status: any(row.state is StepState.RUNNING for row in status.steps))
    await asked(handle, "pause", "lunch")
    await status_when(handle, lambda status: status.steps[0].state is StepState.DONE)
    await handle.signal("resume")


async def cancel_paused(handle: Handle) -> None:
    await handle.signal("pause")
    await status_when(handle, lambda status: status.paused)
    await handle.cancel()


async def _paused_by_chance(runner: Runner) -> PlanRequest:
    return PlanRequest(plan=plan_of(*THREE))


def slowly(call: ModelCall) -> Any:
    return asyncio.sleep(0.5, "done")


STEERING_PATHS: dict[str, Path] = {
    "plan-checkpoint-continued": Path(RUN, _by_planner, lambda: scripted(plan_json(*THREE)), people=go_on),
    "plan-checkpoint-edited": planned("steps=2", edit),
    "plan-checkpoint-by-reference": planned("steps=2", go_on_with_digest, do=LONG),
    "plan-checkpoint-stopped": planned("steps=1,2", stop),
    "plan-checkpoint-left-alone": planned("after-plan"),
    "plan-checkpoint-unknown-step": planned("steps=9"),
    "staged-every-stage-edited": delivered("every-stage", edit_stages),
    "staged-every-stage-stopped": delivered("every-stage", stop),
    "staged-checkpoint-after-plan": delivered("after-plan", stop, sub_steps=2),
    "plan-paused-and-resumed": Path(RUN, _paused_by_chance, lambda: slowly, people=pause_and_resume),
    "session-cancelled-while-paused": session(cancel_paused),
}
