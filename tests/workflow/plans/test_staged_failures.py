"""Stages that fail: tried again alone, named when they fail for good, and a later run that goes on from there."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from outlast.contracts import Content, RunState, StepState
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.llm.base import ModelCall
from outlast.stages.contracts import StagedProgress, StagedRequest, StagedResult, StageOutput
from tests.workflow.conftest import Runner
from tests.workflow.plans.staging import (
    PRICES,
    RUN,
    TASK,
    asked,
    deliver,
    failure,
    kind_of_call,
    part,
    plan_json,
    refusing,
    rows_of,
    scripted,
    stage,
    stage_of,
)
from tests.workflow.talking.test_agent_session import calls
from workflows.staged_delivery import StagedDeliveryWorkflow


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
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not yet")
        return "at last"

    result, calls = await deliver(runner, scripted(work=once), stages=(stage("draft", attempts=2),))
    assert await runner.text(result.stages[0].content) == "at last"
    assert [kind_of_call(call) for call in calls] == ["work"] * 3
    assert result.state is RunState.COMPLETED


async def test_a_stage_that_nobody_could_plan_is_tried_again_without_asking_the_planner(runner: Runner) -> None:
    nonsense = plan_json((1, "nobody", "do it", []))
    stages = (stage("draft", max_steps=3, attempts=2),)
    _, calls = await failure(runner, scripted(lambda call: nonsense, refusing("'draft'")), stages=stages)
    # Three plans, then the writer and its fallback, twice.
    assert [kind_of_call(call) for call in calls] == ["plan"] * 3 + ["work"] * 4


async def test_after_a_failed_sub_step_nothing_new_starts_in_its_stage(runner: Runner) -> None:
    plan = plan_json((1, "writer", "do bad", []), (2, "writer", "do more", []))
    stages = (stage("draft", max_steps=3),)
    script = scripted(lambda call: plan, refusing("do bad"))
    error, calls = await failure(runner, script, stages=stages, max_parallel=1)
    assert "do more" not in [asked(call) for call in calls]
    rows = await rows_of(runner, StagedResult.model_validate(error.details[0]))
    assert rows["draft · 2"].state is StepState.SKIPPED


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
    assert "the output schema is wrong: it is not a JSON schema at $.properties" in text_of(error)
    assert calls == []
    rows = await rows_of(runner, StagedResult.model_validate(error.details[0]))
    assert "attempt 2" not in rows["draft"].note


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
    ({"task": " \n"}, "task: say what shall be delivered"),
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


async def test_an_agent_that_stops_before_its_answer_is_typed_fails_the_stage(runner: Runner) -> None:
    stages = (stage("facts", "file-clerk", output_schema=PRICES),)
    error, _ = await failure(runner, lambda call: calls(("list_files", {}), tokens=2_000_000), stages=stages)
    assert kind_of(error) is ErrorKind.OUTPUT_INVALID
    assert "file-clerk stopped before its answer fitted the schema" in text_of(error)
