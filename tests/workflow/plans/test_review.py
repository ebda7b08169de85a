"""Reviews on the real server: stopped early, bounded, the best round kept, and what happens when nobody can judge."""

import json
from typing import Any

import pytest

from outlast.contracts import Content, RunState, StepState
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from outlast.stages.contracts import StagedResult, StageOutput
from tests.workflow.conftest import Runner
from tests.workflow.plans.staging import (
    PRICES,
    asked,
    deliver,
    kind_of_call,
    labels,
    part,
    rows_of,
    said,
    scripted,
    stage,
)

DRAFT = StageOutput(stage="draft", content=Content(text="first draft"))
NO_CRITIC = non_retryable(ErrorKind.MODEL_REJECTED, "no critic today")


async def reviewed(
    runner: Runner, *scores: Any, revision: Any = None, **rubric: Any
) -> tuple[StagedResult, list[ModelCall]]:
    """Review one finished draft; the critic gives the scores in turn."""
    given = {"criteria": ("clear", "short"), "good_enough": 80, "rounds": 3} | rubric
    stages = (stage("draft"), stage("review", rubric=given))
    return await deliver(runner, scripted(scores=scores, revision=revision), stages=stages, done=(DRAFT,))


def kinds(calls: list[ModelCall]) -> list[str]:
    return [kind_of_call(call) for call in calls]


async def test_a_draft_that_is_good_enough_is_kept_without_a_revision(runner: Runner) -> None:
    result, calls = await reviewed(runner, 80)
    assert kinds(calls) == ["critique"]
    output = result.stages[1]
    assert await runner.text(output.content) == "first draft"
    assert (output.score, output.rounds, output.notes) == (80, 1, ())
    assert result.state is RunState.COMPLETED


async def test_the_critic_is_told_goal_and_criteria_and_gives_a_score_with_remarks(runner: Runner) -> None:
    _, calls = await reviewed(runner, 80)
    assert calls[0].system.startswith("You are a reviewer")
    assert "The draft shall be this: the review" in asked(calls[0])
    assert "- clear\n- short" in asked(calls[0])
    schema: Any = calls[0].output_schema
    assert schema["properties"]["remarks"]["items"]["properties"]["criterion"]["enum"] == ["clear", "short"]
    assert schema["properties"]["score"]["maximum"] == 100


async def test_a_draft_is_revised_by_its_critique_until_it_is_good_enough(runner: Runner) -> None:
    result, calls = await reviewed(runner, 40, 60, 85, rounds=5)
    assert kinds(calls) == ["critique", "revision", "critique", "revision", "critique"]
    first, second = calls[1], calls[3]
    assert first.system.startswith("You are a writer")
    assert part(first, "draft") == "first draft"
    assert json.loads(part(first, "critique"))["remarks"][0]["remark"] == "remark with 40"
    assert part(second, "draft") == "revision 1"
    assert "critique of a worse rewrite" not in labels(second)
    output = result.stages[1]
    assert await runner.text(output.content) == "revision 2"
    assert (output.score, output.rounds) == (85, 3)
    rows = await rows_of(runner, result)
    assert [step for step in rows if step.startswith("review · ")] == [
        "review · critique 1",
        "review · revision 1",
        "review · critique 2",
        "review · revision 2",
        "review · critique 3",
    ]


async def test_rounds_are_bounded_and_the_best_one_is_kept_not_the_last(runner: Runner) -> None:
    result, calls = await reviewed(runner, 40, 70, 55, rounds=3)
    assert kinds(calls) == ["critique", "revision", "critique", "revision", "critique"]
    output = result.stages[1]
    assert await runner.text(output.content) == "revision 1"
    assert (output.score, output.rounds) == (70, 3)
    assert output.notes == (
        "no round reached 80 of 100, the best has 70",
        "round 2 of 3 was kept, because the later ones were no better",
    )


async def test_a_worse_revision_is_not_revised_further_but_learned_from(runner: Runner) -> None:
    _, calls = await reviewed(runner, 60, 30, 90, rounds=3)
    again = calls[3]
    assert part(again, "draft") == "first draft"
    assert "remark with 60" in part(again, "critique")
    assert "remark with 30" in part(again, "critique of a worse rewrite")
    assert "do not make the same mistakes" in asked(again)


async def test_of_equal_rounds_the_earlier_is_kept(runner: Runner) -> None:
    result, _ = await reviewed(runner, 50, 50, rounds=2)
    assert await runner.text(result.stages[1].content) == "first draft"


async def test_a_draft_that_nobody_can_judge_stands_unreviewed_and_the_run_is_partial(runner: Runner) -> None:
    # The reviewer fails, and its fallback does.
    result, calls = await reviewed(runner, NO_CRITIC, NO_CRITIC)
    assert kinds(calls) == ["critique", "critique"]
    output = result.stages[1]
    assert await runner.text(output.content) == "first draft"
    assert (output.score, output.rounds) == (None, 0)
    assert output.notes[-1] == "the draft stands unreviewed"
    assert "no critic today" in output.notes[0]
    assert result.state is RunState.PARTIAL
    assert (await rows_of(runner, result))["review · critique 1"].state is StepState.FAILED


async def test_a_critic_that_fails_later_ends_the_review_with_what_is_there(runner: Runner) -> None:
    result, _ = await reviewed(runner, 40, NO_CRITIC, NO_CRITIC)
    output = result.stages[1]
    assert await runner.text(output.content) == "first draft"
    assert (output.score, output.rounds) == (40, 1)
    assert "round 2 was not judged" in output.notes
    assert result.state is RunState.PARTIAL


async def test_a_writer_that_fails_ends_the_review_with_the_best_draft(runner: Runner) -> None:
    def blocked(call: ModelCall) -> str:
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no writer today")

    result, calls = await reviewed(runner, 40, revision=blocked)
    assert kinds(calls) == ["critique", "revision", "revision"]
    assert (result.stages[1].score, result.stages[1].rounds) == (40, 1)
    assert "no writer today" in result.stages[1].notes[0]


@pytest.mark.parametrize("broken", ['{"remarks": [], "score": 101}', '{"remarks": []}', "fine by me"])
async def test_a_critique_that_breaks_its_form_goes_back(runner: Runner, broken: str) -> None:
    result, calls = await reviewed(runner, broken, 90)
    assert kinds(calls) == ["critique", "critique"]
    assert "That answer cannot be used" in said(calls[1])
    assert result.stages[1].score == 90
    assert "answer sent back" in result.stages[1].notes[0]


async def test_a_first_stage_with_a_rubric_writes_its_own_draft(runner: Runner) -> None:
    stages = (stage("brief", rubric={"rounds": 1}),)
    result, calls = await deliver(runner, scripted(scores=[70]), stages=stages)
    assert kinds(calls) == ["work", "critique"]
    assert (result.stages[0].steps, result.stages[0].score) == (1, 70)


async def test_a_review_with_a_schema_writes_and_revises_by_it(runner: Runner) -> None:
    answers = {"work": '{"price": 50}', "revision": '{"price": 60}'}
    stages = (stage("draft"), stage("review", rubric={"rounds": 2}, output_schema=PRICES))
    script = scripted(work=lambda call: answers["work"], scores=[10, 95], revision=lambda call: answers["revision"])
    result, calls = await deliver(runner, script, stages=stages, done=(DRAFT,))
    assert kinds(calls) == ["work", "critique", "revision", "critique"]
    # The output before it is material here, not the draft.
    assert labels(calls[1]) == ["task", "stage draft", "draft"]
    assert calls[2].output_schema == PRICES
    assert json.loads(await runner.text(result.stages[1].data)) == {"price": 60}
