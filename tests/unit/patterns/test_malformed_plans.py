"""What becomes of malformed plans before a model is asked again: read and noted, or refused with the mend."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.contracts import Plan, PlanChange
from outlast.llm.answers import read_answer
from outlast.plans.checking import PLAN_SCHEMA, problems, read_plan, repair
from tests.unit.patterns.graphs import steady
from tests.unit.patterns.malformed_plans import AGENTS, MALFORMED, READABLE, UNREADABLE, Malformed, pair, plan, step


def checked(text: str) -> tuple[Plan | None, list[str], list[PlanChange]]:
    """Take an answer the way it takes in a run, up to the point where it runs or goes back."""
    answered = read_answer(text, PLAN_SCHEMA)
    if answered.data is None:
        return None, list(answered.wrong), []
    found, unread, changes = read_plan(answered.data)
    changes += [PlanChange(stage="deterministic", change=answered.leniently)] if answered.leniently else []
    if found is None:
        return None, unread, changes
    found, repairs = repair(found, AGENTS)
    return found, problems(found, AGENTS, max_steps=20), changes + repairs


def test_there_are_at_least_forty_with_names_of_their_own() -> None:
    assert len({malformed.name for malformed in MALFORMED}) == len(MALFORMED) >= 40


@pytest.mark.parametrize("malformed", READABLE, ids=lambda each: each.name)
def test_what_can_mean_one_thing_only_is_read_so_and_noted(malformed: Malformed) -> None:
    found, wrong, changes = checked(malformed.text)
    assert wrong == []
    assert found is not None
    assert {each.step: set(each.depends_on) for each in found.steps} == malformed.runs
    assert {each.agent for each in found.steps} == {"writer"}
    said = "\n".join(change.change for change in changes)
    assert [piece for piece in malformed.told if piece not in said] == [], said
    assert all(change.stage == "deterministic" for change in changes)
    assert bool(changes) == bool(malformed.told)


@pytest.mark.parametrize("malformed", UNREADABLE, ids=lambda each: each.name)
def test_everything_else_goes_back_with_the_field_and_the_mend(malformed: Malformed) -> None:
    _, wrong, _ = checked(malformed.text)
    said = "\n".join(wrong)
    assert wrong
    assert [piece for piece in malformed.told if piece not in said] == [], said


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda each: each.name)
def test_reading_twice_changes_nothing_more(malformed: Malformed) -> None:
    found, wrong, _ = checked(malformed.text)
    if found is not None and not wrong:
        again, none, changes = read_plan(found.model_dump(mode="json"))
        assert (again, none, changes) == (found, [], [])


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda each: each.name)
def test_reading_leaves_the_data_as_it_is(malformed: Malformed) -> None:
    before = copy.deepcopy(malformed.said)
    read_plan(malformed.said)
    assert malformed.said == before


def test_people_may_hand_in_the_bare_list() -> None:
    found, wrong, changes = read_plan([step(1)])
    assert found is not None
    assert (len(found.steps), wrong, changes) == (1, [], [])


@pytest.mark.parametrize(
    "data", [None, 3, True, "do it", [[]], {"a": 1}, {"steps": {}}, {"steps": None}, {}, "[", "{}"]
)
def test_what_is_no_plan_at_all_is_said(data: Any) -> None:
    found, wrong, _ = read_plan(data)
    assert found is None
    assert "steps" in wrong[0]
    assert "step, agent, input, depends_on" in wrong[0]


AMBIGUOUS: list[tuple[Any, str]] = [
    (plan(step(1), step(2, depends_on=[], dependencies=[1])), "'depends_on' and 'dependencies' say different things"),
    (plan(step(1), step(2, depends_on=[1], follows=[1])), "steps[1].follows"),
    (plan(step(1), step(2, condition="only if step 1 fails")), "steps[1].condition"),
    ({"steps": [step(1)], "later": [step(2)]}, "the plan.later: there are steps in it"),
    ({**step(1), "then": [step(2)]}, "steps[0].then: there are steps in it"),
    ({"steps": {"1": step(2), "2": step(1)}}, "'1' is the key of one step and the id of another"),
    ({"first": [step(1)], "second": [step(2)]}, "steps: there is no list of steps"),
]


@pytest.mark.parametrize(("data", "doubt"), AMBIGUOUS, ids=[doubt for _, doubt in AMBIGUOUS])
def test_what_could_mean_two_things_is_never_guessed(data: Any, doubt: str) -> None:
    found, wrong, _ = read_plan(data)
    assert found is None
    assert doubt in "\n".join(wrong)


@pytest.mark.parametrize(
    ("ids", "written", "meant"),
    [
        (["1", "2"], "step 1", ["1"]),
        (["step1", "b"], 1, ["step1"]),
        (["step_1", "b"], "#1", ["step_1"]),
        (["A", "b"], "a", ["A"]),
        (["A", "a"], "A", ["A"]),
        (["a, b", "b"], "a, b", ["a, b"]),
        (["none", "b"], "none", ["none"]),
        (["a", "b"], "none", []),
        (["a", "b"], "a; b,", ["a", "b"]),
        # From here on there is no step that is meant, so the reference stays, and is a problem later.
        (["Step 1", "step-1"], "1", ["1"]),
        (["11", "b"], "1.1", ["1.1"]),
        (["1", "b"], "-1", ["-1"]),
        (["1", "b"], "1 and b", ["1 and b"]),
        (["s", "b"], "steps", ["steps"]),
        (["step", "b"], "#", ["#"]),
    ],
)
def test_references_lead_to_the_one_step_they_can_mean(ids: list[str], written: Any, meant: list[str]) -> None:
    found, wrong, _ = read_plan(plan(*map(step, ids), step("last", depends_on=written)))
    assert wrong == []
    assert found is not None
    assert found.steps[-1].depends_on == tuple(meant)


def test_a_thousand_wrong_steps_are_told_in_a_few_lines() -> None:
    _, wrong, _ = read_plan(plan(*[{}] * 1000))
    assert len(wrong) == 21
    assert wrong[-1] == "… and 2980 more of this kind"


def test_numbers_and_texts_are_the_same_ids() -> None:
    found, _, changes = read_plan(pair(["1"]))
    assert found is not None
    assert found.steps[1].depends_on == ("1",)
    assert changes == []


def test_one_thing_said_twice_is_no_doubt() -> None:
    found, wrong, _ = read_plan(plan({**step(1), "id": 1, "task": step(1)["input"]}))
    assert wrong == []
    assert found == read_plan(plan(step(1)))[0]


WORDS = st.sampled_from(
    ["steps", "step", "id", "agent", "input", "task", "depends_on", "after", "plan", "1", "[1]", "{}", ""]
)
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | WORDS | st.text(max_size=3)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=25
)


@steady
@given(JSON)
def test_whatever_a_model_says_is_either_a_plan_or_problems(data: Any) -> None:
    found, wrong, changes = read_plan(data)
    assert (found is None) == bool(wrong)
    if found is not None:
        assert read_plan(found.model_dump(mode="json"))[0] == found
        repaired, _ = repair(found, AGENTS)
        problems(repaired, AGENTS, max_steps=2)
    assert all(change.change and change.stage == "deterministic" for change in changes)
