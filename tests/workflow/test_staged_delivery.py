"""Staged delivery: fixed stages, planned sub-steps, typed outputs, stages tried again, and runs that go on from earlier ones."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.contracts import Content
from activities.errors import ErrorKind, final, kind_of, text_of
from activities.llm.base import ModelCall
from tests.workflow.conftest import Runner
from tests.workflow.staging import (
    asked,
    kind_of_call,
    labels,
    one_step,
    part,
    plan_json,
    said,
    scripted,
    stage,
    stage_of,
)
from workflows.contracts import (
    RunReport,
    RunState,
    StagedProgress,
    StagedRequest,
    StagedResult,
    StageOutput,
    StepRow,
    StepState,
)
from workflows.staged_delivery import StagedDeliveryWorkflow

RUN = StagedDeliveryWorkflow.run
TASK = "Write a product brief for a bicycle light."
PRICES = {
    "type": "object",
    "properties": {"price": {"type": "integer"}},
    "required": ["price"],
    "additionalProperties": False,
}


async def deliver(runner: Runner, script: Any, **fields: Any) -> tuple[StagedResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, StagedRequest.model_validate({"task": TASK} | fields))
    assert isinstance(result, StagedResult)
    return result, llm.calls


async def failure(runner: Runner, script: Any, **fields: Any) -> tuple[ApplicationError, list[ModelCall]]:
    async with runner.worker(script) as llm:
        handle = await runner.start(RUN, StagedRequest.model_validate({"task": TASK} | fields))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause, llm.calls


async def rows_of(runner: Runner, result: StagedResult) -> dict[str, StepRow]:
    report = RunReport.model_validate_json(await runner.text(result.report))
    return {row.step: row for row in report.steps}


def refusing(*words: str) -> Any:
    """Refuse work whose question holds one of the words."""

    def answer(call: ModelCall) -> str:
        if any(word in asked(call) for word in words):
            raise final(ErrorKind.MODEL_REJECTED, f"cannot do {asked(call)[:20]}")
        return f"result of {asked(call)}"

    return answer


async def test_the_default_stages_take_a_task_from_research_to_the_final_text(runner: Runner) -> None:
    result, calls = await deliver(runner, scripted())
    assert result.state is RunState.COMPLETED
    assert [output.stage for output in result.stages] == ["research", "outline", "draft", "review", "final"]
    assert result.failed == ""
    # Research, outline and draft are planned; the last stage can be done in one way only.
    assert [stage_of(call) for call in calls if kind_of_call(call) == "plan"] == ["research", "outline", "draft"]
    assert [(output.steps, output.rounds, output.score) for output in result.stages] == [
        (1, 0, None),
        (1, 0, None),
        (1, 0, None),
        (0, 1, 90),
        (1, 0, None),
    ]
    assert await runner.text(result.stages[3].content) == "result of do draft"
    assert result.spend.calls == len(calls) == 8
    rows = await rows_of(runner, result)
    assert list(rows)[:6] == ["research", "outline", "draft", "review", "final", "research · 1"]
    assert {row.state for row in rows.values()} == {StepState.DONE}
    assert rows["review · critique 1"].note == "90 of 100"


async def test_every_sub_step_sees_the_task_and_all_earlier_outputs_by_their_stage(runner: Runner) -> None:
    _, calls = await deliver(runner, scripted())
    seen = {stage_of(call): call for call in calls if kind_of_call(call) == "plan"}
    assert labels(seen["research"]) == ["task"]
    assert labels(seen["draft"]) == ["task", "stage research", "stage outline"]
    drafting = next(call for call in calls if asked(call) == "do draft")
    assert part(drafting, "task") == TASK
    assert part(drafting, "stage research") == "result of do research"
    assert part(drafting, "stage outline") == "result of do outline"
    judging = next(call for call in calls if kind_of_call(call) == "critique")
    # What is judged stands there once.
    assert labels(judging) == ["task", "stage research", "stage outline", "draft"]
    assert part(judging, "draft") == "result of do draft"


async def test_planned_sub_steps_run_side_by_side_and_a_last_one_joins_them(runner: Runner) -> None:
    together = asyncio.Barrier(2)
    plan = plan_json((1, "writer", "do left", []), (2, "analyst", "do right", []))

    async def meet(call: ModelCall) -> str:
        if asked(call).startswith("do"):
            await asyncio.wait_for(together.wait(), 20)
        return f"result of {asked(call)}"

    stages = (stage("draft", "writer", "analyst", max_steps=3),)
    result, calls = await deliver(runner, scripted(lambda call: plan, lambda call: meet(call)), stages=stages)
    joining = calls[-1]
    assert kind_of_call(joining) == "join"
    assert joining.system.startswith("You are a writer")
    assert part(joining, "step 1") == "result of do left"
    assert part(joining, "step 2") == "result of do right"
    assert "It shall be this: the draft" in asked(joining)
    assert result.stages[0].steps == 3


async def test_the_planner_may_choose_among_the_agents_of_the_stage_only(runner: Runner) -> None:
    stages = (stage("a", "writer", "analyst", max_steps=2), stage("b", max_steps=2, agents=()))
    _, calls = await deliver(runner, scripted(), stages=stages)
    first, second = [call for call in calls if kind_of_call(call) == "plan"]
    assert "- writer:" in asked(first)
    assert "- reviewer:" not in asked(first)
    assert "at most 2 steps" in asked(first)
    assert "- reviewer:" in asked(second)
    assert "- planner:" not in asked(second)


async def test_a_malformed_plan_of_a_stage_goes_back_to_the_planner(runner: Runner) -> None:
    plans = [plan_json((1, "reviewer", "do it", [])), plan_json((1, "WRITER", "do it", []))]
    stages = (stage("draft", max_steps=3),)
    result, calls = await deliver(runner, scripted(lambda call: plans.pop(0)), stages=stages)
    assert result.state is RunState.COMPLETED
    again = [call for call in calls if kind_of_call(call) == "plan"][1]
    assert "there is no agent 'reviewer'" in said(again)
    assert [note.split(":")[0] for note in result.stages[0].notes] == ["planner", "deterministic"]


async def test_a_stage_that_nobody_can_plan_is_one_step_of_its_first_agent_and_says_so(runner: Runner) -> None:
    nonsense = plan_json((1, "nobody", "do it", []))
    stages = (stage("draft", "analyst", "writer", max_steps=3),)
    result, calls = await deliver(runner, scripted(lambda call: nonsense), stages=stages)
    assert result.state is RunState.COMPLETED
    assert Counter(map(kind_of_call, calls)) == {"plan": 3, "work": 1}
    assert calls[-1].system.startswith("You are an analyst")
    assert asked(calls[-1]) == "Do the stage 'draft' of the task in the part 'task'. This stage gives: the draft"
    assert result.stages[0].notes[-1] == "fallback: no valid plan, so one step for analyst runs"


async def test_a_planner_that_fails_costs_one_call_a_stage_and_the_run_completes(runner: Runner) -> None:
    def planless(call: ModelCall) -> str:
        raise final(ErrorKind.MODEL_REJECTED, "no planner today")

    result, _ = await deliver(runner, scripted(planless))
    assert result.state is RunState.COMPLETED
    assert "no planner today" in result.stages[0].notes[0]
    assert result.stages[0].notes[1].startswith("fallback: no valid plan")


async def test_a_typed_output_that_breaks_its_schema_goes_back_and_is_mended(runner: Runner) -> None:
    answers = ['{"price": "dear"}', '{"price": 59}']
    stages = (stage("facts", output_schema=PRICES), stage("final"))

    def work(call: ModelCall) -> str:
        return answers.pop(0) if call.output_schema else f"{part(call, 'stage facts')} said"

    result, calls = await deliver(runner, scripted(work=work), stages=stages)
    assert "'dear' is not of type 'integer'" in said(calls[1])
    data = result.stages[0].data
    assert data is not None
    assert data.media_type == "application/json"
    assert json.loads(await runner.text(data)) == {"price": 59}
    # Later stages see the data.
    assert await runner.text(result.stages[1].content) == '{"price": 59} said'


async def test_only_the_last_sub_step_answers_by_the_schema(runner: Runner) -> None:
    plan = plan_json((1, "writer", "do one", []), (2, "writer", "do two", [1]))

    def work(call: ModelCall) -> str:
        return '{"price": 5}' if call.output_schema else "prose"

    stages = (stage("facts", max_steps=3, output_schema=PRICES),)
    _, calls = await deliver(runner, scripted(lambda call: plan, work), stages=stages)
    assert [call.output_schema for call in calls[1:]] == [None, PRICES]
    assert part(calls[2], "step 1") == "prose"


async def test_an_output_that_never_fits_its_schema_fails_the_stage(runner: Runner) -> None:
    stages = (stage("facts", "reviewer", output_schema=PRICES),)
    error, _ = await failure(runner, scripted(work=lambda call: "{}"), stages=stages)
    assert kind_of(error) is ErrorKind.OUTPUT_INVALID
    assert "'price' is a required property" in text_of(error)


async def test_a_failed_stage_is_planned_another_way_and_keeps_what_is_done(runner: Runner) -> None:
    plans = [
        plan_json((1, "writer", "do one", []), (2, "writer", "do bad", [1])),
        plan_json((3, "writer", "do better", [1])),
    ]
    stages = (stage("draft", max_steps=4, attempts=2),)
    script = scripted(lambda call: plans.pop(0), refusing("do bad"))
    result, calls = await deliver(runner, script, stages=stages)
    assert result.state is RunState.COMPLETED
    output = result.stages[0]
    assert output.attempts == 2
    assert output.steps == 2
    assert output.notes[0].startswith("attempt 1 failed: step 2: writer failed (ModelRejected: cannot do do bad)")
    assert any(note.startswith("replan: new steps, because step 2 failed") for note in output.notes)
    assert [asked(call) for call in calls].count("do one") == 1
    replanning = [call for call in calls if kind_of_call(call) == "plan"][1]
    assert part(replanning, "task") == TASK
    assert part(replanning, "step 1") == "result of do one"
    assert list(await rows_of(runner, result)) == ["draft", "draft · 1", "draft · 3"]


async def test_a_stage_without_a_planner_is_tried_again_as_it_is(runner: Runner) -> None:
    failures = [0]

    def once(call: ModelCall) -> str:
        failures[0] += 1
        if failures[0] <= 2:  # the writer, and its fallback
            raise final(ErrorKind.MODEL_REJECTED, "not yet")
        return "at last"

    result, calls = await deliver(runner, scripted(work=once), stages=(stage("draft", attempts=2),))
    assert await runner.text(result.stages[0].content) == "at last"
    assert [kind_of_call(call) for call in calls] == ["work"] * 3
    assert result.state is RunState.COMPLETED


async def test_a_stage_that_fails_for_good_is_named_and_what_is_done_is_kept(runner: Runner) -> None:
    stages = (stage("facts"), stage("draft", attempts=2), stage("final"))
    error, _ = await failure(runner, scripted(work=refusing("'draft'")), stages=stages)
    assert kind_of(error) is ErrorKind.MODEL_REJECTED
    assert text_of(error).startswith("stage 'draft' failed: step 1: ")
    result = StagedResult.model_validate(error.details[0])
    assert (result.state, result.failed) == (RunState.FAILED, "draft")
    assert [output.stage for output in result.stages] == ["facts"]
    rows = await rows_of(runner, result)
    assert rows["draft"].state is StepState.FAILED
    assert rows["draft"].note.startswith("attempt 1 failed: step 1: ")
    assert "attempt 2 failed" in rows["draft"].note
    assert (rows["final"].state, rows["final"].note) == (
        StepState.SKIPPED,
        "not reached, because stage draft failed",
    )


async def test_a_failure_that_no_attempt_can_mend_is_not_tried_again(runner: Runner) -> None:
    stages = (stage("draft", attempts=5, output_schema={"type": "object", "properties": 3}),)
    error, calls = await failure(runner, scripted(), stages=stages)
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert "the output schema is wrong at" in text_of(error)
    assert calls == []


async def test_a_run_goes_on_from_the_stages_that_an_earlier_one_has_done(runner: Runner) -> None:
    stages = (stage("facts"), stage("draft"), stage("final"))
    error, _ = await failure(runner, scripted(work=refusing("'draft'")), stages=stages)
    before = StagedResult.model_validate(error.details[0])
    result, calls = await deliver(runner, scripted(work=lambda call: "good"), stages=stages, done=before.stages)
    assert result.state is RunState.COMPLETED
    assert [stage_of(call) for call in calls] == ["draft", "final"]
    assert part(calls[0], "stage facts").startswith("result of Do the stage 'facts'")
    assert result.stages[0] == before.stages[0]
    rows = await rows_of(runner, result)
    assert rows["facts"].note == "taken over from an earlier run"


async def test_progress_names_the_stage_at_work_and_survives_cancelling(runner: Runner) -> None:
    reached = asyncio.Event()

    async def stuck(call: ModelCall) -> str:
        if stage_of(call) == "draft":
            reached.set()
            await asyncio.sleep(3600)
        return "facts"

    async with runner.worker(scripted(work=lambda call: stuck(call))):
        handle = await runner.start(RUN, StagedRequest(task=TASK, stages=(stage("facts"), stage("draft"))))
        await asyncio.wait_for(reached.wait(), 30)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        progress: StagedProgress = await handle.query(StagedDeliveryWorkflow.progress)
    assert isinstance(caught.value.cause, CancelledError)
    assert [output.stage for output in progress.done] == ["facts"]
    assert progress.stage == "draft"


FACTS = StageOutput(stage="facts", content=Content(text="f"))
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stages": (stage("a"), stage("a"))}, "stage 'a', name: 2 stages are called so"),
    ({"stages": (stage("a", "nobody"),)}, "stage 'a', agents: there is no agent 'nobody'; choose from academic"),
    ({"stages": (stage("a", "planner"),)}, "stage 'a', agents: 'planner' plans the stages"),
    ({"stages": (stage("a", rubric={}, reviewer="x"),)}, "stage 'a', reviewer: there is no agent 'x'"),
    ({"stages": (stage("a", output_schema={"type": "array"}),)}, "stage 'a', output_schema: it does not describe"),
    ({"planner": "nobody"}, "planner: there is no agent 'nobody'"),
    ({"done": (FACTS,)}, "done: facts are not the first of the stages research, outline"),
    ({"stages": (stage("facts"),), "done": (FACTS, FACTS)}, "done: facts, facts are not the first of the stages facts"),
]


@pytest.mark.parametrize(("fields", "told"), WRONG, ids=[told for _, told in WRONG])
async def test_stages_that_cannot_run_are_refused_before_anything_is_paid(
    runner: Runner, fields: dict[str, Any], told: str
) -> None:
    error, calls = await failure(runner, lambda call: "never", **fields)
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert told in text_of(error)
    assert calls == []


async def test_a_run_whose_stages_are_all_done_gives_them_back(runner: Runner) -> None:
    result, calls = await deliver(runner, lambda call: "never", stages=(stage("facts"),), done=(FACTS,))
    assert result.stages == (FACTS,)
    assert result.state is RunState.COMPLETED
    assert calls == []


async def test_a_long_task_travels_by_reference(runner: Runner) -> None:
    task = "Write about bicycle lights. " * 400
    async with runner.worker(scripted(one_step)) as llm:
        handle = await runner.start(RUN, StagedRequest(task=task))
        await handle.result()
        history = (await handle.fetch_history()).to_json()
    assert all(part(call, "task") == task for call in llm.calls)
    assert history.count("Write about bicycle lights") < 3 * task.count("Write about bicycle lights")
    assert len(history) < 8 * len(task)
