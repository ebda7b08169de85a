"""Staged delivery: fixed stages, planned sub-steps that see what came before, and typed outputs."""

import asyncio
import json
from collections import Counter

from outlast.contracts import RunState, StepState
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.llm.base import ModelCall
from outlast.stages.contracts import StagedRequest
from tests.workflow.conftest import Runner
from tests.workflow.plans.staging import (
    PRICES,
    RUN,
    TASK,
    asked,
    deliver,
    failure,
    kind_of_call,
    labels,
    one_step,
    part,
    plan_json,
    rows_of,
    said,
    scripted,
    stage,
    stage_of,
)


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
    sent_back, fallback = result.stages[0].notes
    assert sent_back.startswith("planner: sent back: step 1: there is no agent 'nobody'")
    assert sent_back.endswith("(3 times)")
    assert fallback == "fallback: no valid plan, so one step for analyst runs"


async def test_a_planner_that_fails_costs_one_call_a_stage_and_the_run_completes(runner: Runner) -> None:
    def planless(call: ModelCall) -> str:
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no planner today")

    result, _ = await deliver(runner, scripted(planless))
    assert result.state is RunState.COMPLETED
    assert "no planner today" in result.stages[0].notes[0]
    assert result.stages[0].notes[1].startswith("fallback: no valid plan")


async def test_a_typed_output_that_breaks_its_schema_goes_back_and_is_mended(runner: Runner) -> None:
    answers = ['{"price": "dear"}', '```json\n{"price": 59}\n```']
    stages = (stage("facts", output_schema=PRICES), stage("final"))

    def work(call: ModelCall) -> str:
        return answers.pop(0) if call.output_schema else f"{part(call, 'stage facts')} said"

    result, calls = await deliver(runner, scripted(work=work), stages=stages)
    assert "'dear' is not of type 'integer'" in said(calls[1])
    data = result.stages[0].data
    assert data is not None
    assert data.media_type == "application/json"
    assert json.loads(await runner.text(data)) == {"price": 59}
    # Later stages see the data, not how it was written.
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


async def test_a_long_task_travels_by_reference(runner: Runner) -> None:
    task = "Write about bicycle lights. " * 400
    async with runner.worker(scripted(one_step)) as llm:
        handle = await runner.start(RUN, StagedRequest(task=task))
        await handle.result()
        history = (await handle.fetch_history()).to_json()
    assert all(part(call, "task") == task for call in llm.calls)
    assert history.count("Write about bicycle lights") < 3 * task.count("Write about bicycle lights")
    assert len(history) < 8 * len(task)
