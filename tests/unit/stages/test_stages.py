"""Stages as data: who leads one, what its planner is asked for, and what keeps stages from running."""

from typing import Any

import pytest

from outlast.contracts import Content
from outlast.stages.contracts import Rubric, Stage, StageOutput
from outlast.stages.rules import DEFAULT_STAGES, judges_earlier, lead_of, merged_notes, planning_of, problems_of

AGENTS = ("analyst", "generalist", "planner", "researcher", "reviewer", "writer")


def stage(name: str = "draft", **fields: Any) -> Stage:
    return Stage.model_validate({"name": name, "goal": "A text."} | fields)


def output(name: str) -> StageOutput:
    return StageOutput(stage=name, content=Content(text="t"))


def problems(*stages: Stage, done: tuple[StageOutput, ...] = (), planner: str = "planner") -> list[str]:
    return problems_of(stages, done, AGENTS, planner)


def test_the_default_stages_can_run() -> None:
    assert problems(*DEFAULT_STAGES) == []
    assert [each.name for each in DEFAULT_STAGES] == ["research", "outline", "draft", "review", "final"]


def test_the_first_agent_leads_and_a_stage_without_agents_has_a_generalist() -> None:
    assert lead_of(stage(agents=("analyst", "writer"))) == "analyst"
    assert lead_of(stage()) == "generalist"


@pytest.mark.parametrize(
    ("fields", "earlier", "judges"),
    [
        ({"rubric": Rubric()}, ["draft"], True),
        ({"rubric": Rubric()}, [], False),
        ({"rubric": Rubric(), "output_schema": {"type": "object"}}, ["draft"], False),
        ({}, ["draft"], False),
    ],
    ids=["review", "first", "typed", "no rubric"],
)
def test_a_review_stage_judges_the_output_before_it_unless_it_must_write_its_own(
    fields: dict[str, Any], earlier: list[str], judges: bool
) -> None:
    assert judges_earlier(stage("review", **fields), earlier) is judges


def test_a_stage_that_can_be_done_in_one_way_is_not_planned() -> None:
    request = planning_of(stage(agents=("writer",), max_steps=1), ["research"], "planner")
    assert request.plan is not None
    (step,) = request.plan.steps
    assert step.agent == "writer"
    assert step.input == (
        "Do the stage 'draft' of the task in the part 'task'. This stage gives: A text.\n"
        "The stages before it gave the parts 'stage research'."
    )


@pytest.mark.parametrize("fields", [{"max_steps": 2, "agents": ("writer",)}, {"max_steps": 1}])
def test_a_stage_with_a_choice_is_planned_within_its_bounds(fields: dict[str, Any]) -> None:
    request = planning_of(stage(**fields), [], "planner")
    assert request.plan is None
    assert request.max_steps == fields["max_steps"]
    assert request.agents == fields.get("agents", ())
    assert request.fallback_agent == lead_of(stage(**fields))


def test_every_problem_is_found_at_once() -> None:
    found = problems(
        stage("a", agents=("nobody", "planner")),
        stage("a"),
        stage("b", rubric=Rubric(), reviewer="critic", output_schema={"type": "array"}),
        planner="boss",
    )
    assert [problem.split(":")[0] for problem in found] == [
        "stage 'a', name",
        "planner",
        "stage 'a', agents",
        "stage 'b', reviewer",
        "stage 'b', output_schema",
    ]


def test_the_planner_does_no_stage() -> None:
    assert problems(stage(agents=("planner", "writer")))[0].startswith("stage 'draft', agents: 'planner' plans")


@pytest.mark.parametrize(
    ("done", "fits"),
    [((), True), (("a",), True), (("a", "b"), True), (("b",), False), (("a", "a"), False), (("a", "b", "c"), False)],
)
def test_only_the_first_stages_in_order_can_be_taken_over(done: tuple[str, ...], fits: bool) -> None:
    found = problems(stage("a"), stage("b"), done=tuple(map(output, done)))
    assert (found == []) is fits
    assert all("take over stages from the first on" in problem for problem in found)


@pytest.mark.parametrize("name", ["", " ", " draft", "a · b", "x" * 65])
def test_names_that_would_be_mixed_up_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        stage(name)


def test_notes_are_told_once_in_order_cut_and_counted() -> None:
    assert merged_notes(["a", "b", "a", "a"]) == ("a (3 times)", "b")
    assert merged_notes(["x" * 301]) == ("x" * 299 + "…",)
    assert merged_notes([str(number) for number in range(23)]) == (*map(str, range(20)), "… and 3 more notes")
