"""Checkpoints: a run goes on, goes on by an edited plan, or stops and keeps what is done."""

import json
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.contracts import PlanRequest, RunState, StepState
from outlast.errors import text_of
from outlast.stages.contracts import StagedRequest
from tests.workflow.conftest import Runner
from tests.workflow.people.steering import at_a_checkpoint, decided, refusal, status_when
from tests.workflow.plans.staging import TASK, one_step, rows_of, stage
from tests.workflow.plans.staging import scripted as staged_script
from tests.workflow.plans.test_plan_and_execute import RUN, is_planner, plan_json, plan_of, report_of, scripted, step
from workflows.staged_delivery import StagedDeliveryWorkflow

THREE = (step(1), step(2, depends_on=[1]), step(3, depends_on=[2]))


def request(**fields: Any) -> PlanRequest:
    return PlanRequest.model_validate({"plan": plan_of(*THREE)} | fields)


async def test_a_planned_run_goes_on_once_a_person_has_seen_its_plan(runner: Runner) -> None:
    async with runner.worker(scripted(plan_json(*THREE))) as llm:
        handle = await runner.start(RUN, PlanRequest.model_validate({"task": "t", "checkpoint": "after-plan"}))
        status = await at_a_checkpoint(handle)
        (gate,) = status.gates
        assert [row.state for row in status.steps if row.step != "plan"] == [StepState.PENDING] * 3
        assert '"depends_on": ["1"]' in gate.arguments
        assert "0 of 3 steps done; ahead: 1 writer, 2 writer, 3 writer" in gate.description
        assert all(map(is_planner, llm.calls))
        assert (await decided(handle, "approve")).kind == "approved"
        result = await handle.result()
    assert (result.state, result.done, result.stopped) == (RunState.COMPLETED, 3, "")


async def test_an_edit_is_refused_with_every_reason_then_taken_and_what_is_done_stays(runner: Runner) -> None:
    wrong = plan_json(step(1, do="another"), step(8, "nobody"), step(9, depends_on=[7]))
    async with runner.worker(scripted()) as llm:
        handle = await runner.start(RUN, request(checkpoint="steps=2"))
        await at_a_checkpoint(handle)
        assert [call.messages[-1][1].count("do 3") for call in llm.calls] == [0, 0]
        why = await refusal(handle, edit={"plan": json.loads(wrong)})
        assert "step 1 is finished already" in why
        assert "there is no agent 'nobody'" in why
        assert "depends on step 7, which does not exist" in why
        assert 'send {"plan"' in await refusal(handle, edit={"steps": []})
        assert "steps[0].input" in await refusal(handle, edit={"plan": {"steps": [{"step": 4, "agent": "writer"}]}})
        assert len((await at_a_checkpoint(handle)).gates) == 1
        edit = {"plan": {"steps": [step(4, "researcher", depends_on=[1]), step("5", depends_on=[4, 2])]}}
        assert (await decided(handle, "approve", edit=edit)).kind == "edited"
        result = await handle.result()
    report = await report_of(runner, result)
    assert (result.state, [answer.step for answer in result.answers]) == (RunState.COMPLETED, ["5"])
    assert [row.step for row in report.steps] == ["1", "2", "4", "5"]
    assert [(row.stage, row.change) for row in report.changes] == [
        ("checkpoint", "edited by a person after step 2: now 4, 5")
    ]
    assert len(llm.calls) == 4


async def test_who_must_approve_a_step_is_kept_where_a_person_edits_the_plan(runner: Runner) -> None:
    async with runner.worker(scripted()):
        handle = await runner.start(RUN, request(checkpoint="steps=1"))
        await at_a_checkpoint(handle)
        edit = {"plan": {"steps": [{**step(2, depends_on=[1]), "confirm": True, "gate": {"eligible": ["zoe"]}}]}}
        assert (await decided(handle, "approve", edit=edit)).kind == "edited"
        await status_when(handle, lambda status: status.gates and "step 2" in status.gates[0].description)
        assert "zoe" in await refusal(handle)
        assert (await decided(handle, "approve", by="zoe")).kind == "approved"
        assert (await handle.result()).state == RunState.COMPLETED


async def test_a_person_stops_a_run_which_keeps_what_is_done(runner: Runner) -> None:
    async with runner.worker(scripted()) as llm:
        handle = await runner.start(RUN, request(checkpoint="steps=1,2", on_failure={"extent": "all"}))
        await at_a_checkpoint(handle)
        await decided(handle, "approve")
        await at_a_checkpoint(handle)
        await decided(handle, "deny", reason="enough")
        result = await handle.result()
    assert (result.state, result.done, result.skipped) == (RunState.STOPPED, 2, 1)
    assert result.stopped == "stopped after step 2 by ada: enough"
    assert [answer.step for answer in result.answers] == ["2"]
    assert len(llm.calls) == 2


async def test_a_checkpoint_that_nobody_decides_stops_the_run(runner: Runner) -> None:
    result, llm = await runner.run(scripted(), RUN, request(checkpoint="after-plan"))
    assert (result.state, result.answers, llm.calls) == (RunState.STOPPED, (), [])
    assert result.stopped == "stopped after planning because nobody decided in time"
    assert result.skipped == 3


@pytest.mark.parametrize(
    ("checkpoint", "why"),
    [
        ("steps=2,7,x", "checkpoint.steps: the plan has no step 7, x; its steps are 1, 2, 3"),
        ("every-stage", "checkpoint: this workflow does not stop at every-stage; use after-plan or steps"),
    ],
)
async def test_a_checkpoint_that_is_not_there_is_refused(runner: Runner, checkpoint: str, why: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await runner.run(scripted(), RUN, request(checkpoint=checkpoint))
    assert why in text_of(caught.value.cause)


async def test_a_delivery_stops_after_every_stage_whose_rest_can_be_edited(runner: Runner) -> None:
    stages = (stage("one"), stage("two"), stage("three"))
    asked = StagedRequest.model_validate({"task": TASK, "stages": stages, "checkpoint": "every-stage"})
    async with runner.worker(staged_script()):
        handle = await runner.start(StagedDeliveryWorkflow.run, asked)
        await at_a_checkpoint(handle)
        why = await refusal(
            handle, edit={"stages": [{"name": "one", "goal": "g"}, {"name": "x", "goal": "g", "agents": ["y"]}]}
        )
        assert "2 stages are called so" in why
        assert "there is no agent 'y'" in why
        edit = {"stages": [stage(name).model_dump(mode="json") for name in ("four", "five")]}
        await decided(handle, "approve", edit=edit)
        await at_a_checkpoint(handle)
        await decided(handle, "deny")
        result = await handle.result()
    assert (result.state, result.next_stage, result.failed) == (RunState.STOPPED, "five", "")
    assert [output.stage for output in result.stages] == ["one", "four"]
    assert result.stopped == "stopped after stage four by ada"
    rows = await rows_of(runner, result)
    assert [(row.step, row.state) for row in rows.values() if "·" not in row.step] == [
        ("one", StepState.DONE),
        ("four", StepState.DONE),
        ("five", StepState.SKIPPED),
    ]


async def test_a_delivery_stops_once_a_stage_is_planned(runner: Runner) -> None:
    stages = (stage("one", max_steps=2),)
    asked = StagedRequest.model_validate({"task": TASK, "stages": stages, "checkpoint": "after-plan"})
    async with runner.worker(staged_script(one_step)) as llm:
        handle = await runner.start(StagedDeliveryWorkflow.run, asked)
        (gate,) = (await at_a_checkpoint(handle)).gates
        assert "one · after planning" in gate.description
        edit = {"plan": {"steps": [step(2, do="do it thus")]}}
        await decided(handle, "approve", edit=edit)
        result = await handle.result()
    assert result.state is RunState.COMPLETED
    assert "do it thus" in llm.calls[-1].messages[0][1]
