"""Every problem of a plan is found and says its mend, without changing anything."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.contracts import Plan, PlanStep
from outlast.plans.checking import ends_of, is_alike, problems, with_one_end
from outlast.plans.cycles import find_cycle
from tests.unit.patterns.graphs import DAG, closure, steady

AGENTS = ("legal-analyst", "researcher", "writer")


def step(name: str, *depends_on: str, agent: str = "writer", said: str = "do it") -> PlanStep:
    return PlanStep(step=name, agent=agent, input=said, depends_on=depends_on)


def plan(*steps: PlanStep) -> Plan:
    return Plan(steps=steps)


PROBLEMS: list[tuple[str, Plan, list[str]]] = [
    ("none", plan(step("a"), step("b", "a")), []),
    ("just not too many steps", plan(*(step(str(number)) for number in range(6))), []),
    ("no steps", plan(), ["the plan has no steps; add at least one"]),
    (
        "unknown agent",
        plan(step("a", agent="plumber")),
        ["step a: there is no agent 'plumber'; use one of legal-analyst, researcher, writer"],
    ),
    (
        "unknown agent, beside one on another model",
        plan(step("a", agent="plumber@haiku")),
        ["step a: there is no agent 'plumber@haiku'; use one of legal-analyst, researcher, writer"],
    ),
    ("empty input", plan(step("a", said=" \n")), ["step a: the input is empty; say what writer shall do"]),
    (
        "duplicate id",
        plan(step("a"), step("b"), step("a"), step("a")),
        ["step id a is used 3 times; give each step its own id"],
    ),
    (
        "missing dependency",
        plan(step("a", "x", "x")),
        ["step a depends on step x, which does not exist; add that step or remove it"],
    ),
    ("self-dependency", plan(step("a", "a")), ["step a depends on itself; remove a from its depends_on"]),
    (
        "circle",
        plan(step("z"), step("a", "c"), step("b", "a"), step("c", "b", "z")),
        ["the steps wait for each other in a circle: a → c → b → a; drop one of these dependencies"],
    ),
    (
        "two circles",
        plan(step("a", "b"), step("b", "a"), step("c", "d", "a"), step("d", "c")),
        [
            "the steps wait for each other in a circle: a → b → a; drop one of these dependencies",
            "the steps wait for each other in a circle: c → d → c; drop one of these dependencies",
        ],
    ),
    (
        "too many steps",
        plan(*(step(str(number)) for number in range(7))),
        ["7 steps are more than the 6 allowed; merge or drop some"],
    ),
]


@pytest.mark.parametrize(("plan", "expected"), [case[1:] for case in PROBLEMS], ids=[case[0] for case in PROBLEMS])
def test_each_problem_is_named_with_its_mend(plan: Plan, expected: list[str]) -> None:
    assert problems(plan, (*AGENTS, "writer@haiku"), max_steps=6) == expected


def test_all_problems_are_found_at_once_and_the_same_each_time() -> None:
    wrong = plan(
        step("a", "b", "a", "x", agent="?", said=""), step("b", "a"), step("b"), step("c", "d"), step("d", "c")
    )
    found = problems(wrong, AGENTS, max_steps=2)
    assert found == problems(wrong, AGENTS, max_steps=2)
    told = ("5 steps", "b is used 2", "agent '?'", "input is empty", "on itself", "step x", "c → d → c")
    assert [piece for piece in told if piece not in "\n".join(found)] == []


def test_without_agents_the_problem_says_so() -> None:
    assert problems(plan(step("a")), (), 9) == [
        "step a: there is no agent 'writer'; use one of none, since there are no agents"
    ]


def test_a_chain_of_ten_thousand_has_no_circle_until_its_ends_meet() -> None:
    chain: dict[str, list[str]] = {str(n): [str(n + 1)] for n in range(10_000)}
    chain["10000"] = []
    assert find_cycle(chain) == []
    chain["10000"] = ["0"]
    assert find_cycle(chain) == [*map(str, range(10_001)), "0"]


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({}, []),
        ({"a": ["a"]}, []),
        ({"a": ["x"]}, []),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, []),
        ({"a": [], "b": ["a", "c"], "c": ["d"], "d": ["c"]}, ["c", "d", "c"]),
        ({"a": ["b"], "b": [], "y": ["a", "z"], "z": ["b", "y"]}, ["y", "z", "y"]),
        ({"a": ["b"], "b": ["c"], "c": ["b", "a"]}, ["b", "c", "b"]),
    ],
)
def test_a_circle_is_found_wherever_it_is(graph: Any, cycle: list[str]) -> None:
    assert find_cycle(graph) == cycle


@steady
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefx"), max_size=4)))
def test_a_circle_is_found_exactly_when_a_step_waits_for_itself(graph: dict[str, list[str]]) -> None:
    inner: DAG = {a: tuple(b for b in needed if b in graph and b != a) for a, needed in graph.items()}
    found = find_cycle(graph)
    assert bool(found) == any(node in closure(inner, {node}) for node in inner)
    assert all(after in inner[node] for node, after in pairwise(found))
    assert len(found) == 0 or found[0] == found[-1]


def test_a_plan_with_one_end_stays_as_it_is() -> None:
    whole = plan(step("a"), step("b", "a"))
    assert with_one_end(whole, "writer", "join") is whole


def test_several_ends_are_joined_by_a_step_with_a_name_of_its_own() -> None:
    joined = with_one_end(plan(step("a"), step("result", "a"), step("b")), "writer", "join")
    assert joined.steps[-1] == PlanStep(step="result 2", agent="writer", input="join", depends_on=("result", "b"))
    assert ends_of(joined) == ["result 2"]
    assert problems(joined, AGENTS, 10) == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Send the mail to Bob.", "send mail to bob, please", True),
        ("Send the mail to Bob.", "Write a summary of the sales.", False),
        ("Refund order 7 of Ann in full", "Refund order 7 of Ann, all of it", True),
        ("Delete the customer records", "Count the orders of March by country", False),
    ],
)
def test_steps_that_may_do_the_same_are_taken_for_alike(one: str, other: str, alike: bool) -> None:
    first, second = PlanStep(step="1", agent="a", input=one), PlanStep(step="2", agent="b", input=other)
    assert (is_alike(first, second), is_alike(second, first)) == (alike, alike)
    assert is_alike(first, second.model_copy(update={"step": "1"}))
