"""The order of a plan's steps wherever it stands: read into dependencies, or sent back; never lost."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.plans.checking import read_plan
from tests.unit.patterns.graphs import DAG, closure, dags, steady

CHAIN = {"gather": set(), "compare": {"gather"}, "decide": {"compare"}}
FORK = {"gather": set(), "compare": {"gather"}, "decide": {"gather"}}
FREE: dict[str, set[str]] = {"gather": set(), "compare": set(), "decide": set()}
ARROWS = ["gather -> compare", "compare → decide"]


def step(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "agent": "writer", "input": f"do {name}", **fields}


def plan(*, steps: str = "steps", own: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """Return a plan of three steps, with fields of some of them and what stands beside them."""
    fields = own or {}
    return {steps: [step(name, **fields.get(name, {})) for name in FREE], **beside}


def edges(one: str, other: str) -> list[dict[str, str]]:
    return [{one: "gather", other: "compare"}, {one: "compare", other: "decide"}]


def each(key: str, *values: Any) -> dict[str, Any]:
    return {name: {key: value} for name, value in zip(FREE, values, strict=True)}


READ: list[tuple[str, dict[str, Any], dict[str, set[str]]]] = [
    # Four situations that people report, and what stands near them; after codenamev/agentic#20, gascity-packs#232.
    ("edges as objects, nodes for steps", plan(steps="nodes", edges=edges("source", "target")), CHAIN),
    ("edges from and to", plan(edges=edges("from", "to")), CHAIN),
    ("edges to several", plan(edges=[{"from": "gather", "to": ["compare", "decide"]}]), FORK),
    ("edges as pairs", plan(edges=[["gather", "compare"], ["compare", "decide"]]), CHAIN),
    ("edges as arrows", plan(edges=ARROWS), CHAIN),
    ("one arrow through all", plan(flow="gather -> compare -> decide"), CHAIN),
    ("edges beside a plan within a plan", {"plan": plan(), "edges": edges("from", "to")}, CHAIN),
    ("links", plan(links=edges("src", "dst")), CHAIN),
    ("dependencies as a map", plan(dependencies={"compare": ["gather"], "decide": "compare"}), CHAIN),
    (
        "dependencies as entries",
        plan(dependencies=[{"step": "compare", "depends_on": ["gather"]}, {"step": "decide", "depends_on": "compare"}]),
        CHAIN,
    ),
    ("parents as a map", plan(parents={"gather": None, "compare": ["gather"], "decide": ["gather"]}), FORK),
    ("next as a map", plan(next={"gather": "compare", "compare": "decide", "decide": "END"}), CHAIN),
    ("an order of execution", plan(execution_order=["gather", "compare", "decide"]), CHAIN),
    (
        "an order that is not that of the steps",
        plan(order=["decide", "gather", "compare"]),
        {"decide": set(), "gather": {"decide"}, "compare": {"gather"}},
    ),
    ("phases", plan(phases=[["gather"], ["compare", "decide"]]), FORK),
    (
        "phases as objects",
        plan(phases=[{"name": "first", "steps": ["gather"]}, {"name": "then", "steps": ["compare", "decide"]}]),
        FORK,
    ),
    ("phases under their names", plan(phases={"first": ["gather"], "second": ["compare", "decide"]}), FORK),
    ("groups that run together", plan(parallel_groups=[["gather"], ["compare", "decide"]]), FORK),
    ("the word sequential", plan(process="sequential"), CHAIN),
    ("not in parallel", plan(parallel=False), CHAIN),
    ("a text that says no to parallel", plan(run_in_parallel="No"), CHAIN),
    ("a yes to sequential", plan(sequential=True), CHAIN),
    ("a mode within a setting", plan(execution={"mode": "sequential", "retries": 2}), CHAIN),
    ("a no to sequential", plan(sequential=False), FREE),
    ("a field that names its own step", plan(own={"compare": {"title": "compare"}}), FREE),
    ("next in the steps", plan(own=each("next", "compare", ["decide"], None)), CHAIN),
    ("next in the steps, with an end", plan(own=each("next_step", "compare", "decide", "end")), CHAIN),
    ("parents in the steps", plan(own=each("parents", [], ["gather"], ["gather"])), FORK),
    ("after in the steps", plan(own=each("after", [], "gather", "compare")), CHAIN),
    ("numbers in the steps", plan(own=each("order", 1, 2, 3)), CHAIN),
    ("phases in the steps", plan(own=each("phase", 1, 2, 2)), FORK),
    ("steps that say no to parallel", plan(own=each("parallel", False, False, False)), CHAIN),
    (
        "edges and some depends_on",
        plan(edges=[["compare", "decide"]], own={"compare": {"depends_on": ["gather"]}}),
        CHAIN,
    ),
    (
        "an order that only lists",
        plan(execution_order=list(FREE), own=each("depends_on", [], ["gather"], ["gather"])),
        FORK,
    ),
    (
        "an order that says the same",
        plan(order=list(FREE), own={"compare": {"depends_on": ["gather"]}, "decide": {"depends_on": ["compare"]}}),
        CHAIN,
    ),
    (
        "phases that go with edges",
        plan(phases=[["gather"], ["compare", "decide"]], edges=[["gather", "compare"], ["gather", "decide"]]),
        FORK,
    ),
    ("numbers for ids", {"tasks": [step(1), step(2)], "edges": [[1, 2]]}, {"1": set(), "2": {"1"}}),  # type: ignore[arg-type]
    (
        "nothing about order",
        plan(thought="Simple enough.", name="offers", estimates={"gather": "2 h"}, output="decide"),
        FREE,
    ),
    ("in parallel on purpose", plan(execution="parallel", parallel=True), FREE),
]

SENT_BACK: list[tuple[str, dict[str, Any], str]] = [
    ("an edge to nowhere", plan(edges=[["gather", "cmpare"]]), "the plan.edges: 'cmpare' is not a step"),
    (
        "an edge with a condition",
        plan(edges=[{"from": "gather", "to": "compare", "condition": "if cheap"}]),
        "has a condition",
    ),
    ("a map of a graph", plan(graph={"gather": ["compare"]}), "the plan.graph: this may be an order"),
    (
        "pairs of dependencies",
        plan(dependencies=[["compare", "gather"]]),
        "the plan.dependencies: this may be an order",
    ),
    (
        "an order of some",
        plan(execution_order=["gather", "decide"]),
        "execution_order: it does not name every step once",
    ),
    ("an order in words", plan(order="first gather, then compare"), "the plan.order: this may be an order"),
    (
        "a list of steps by an unknown name",
        plan(critical=["gather", "decide"]),
        "the plan.critical: this may be an order",
    ),
    (
        "an order against depends_on",
        plan(order=["decide", "compare", "gather"], own=each("depends_on", [], ["gather"], ["compare"])),
        "contradict each other",
    ),
    (
        "an order beside some depends_on",
        plan(order=list(FREE), own={"compare": {"depends_on": ["gather"]}}),
        "say different things",
    ),
    ("an order beside some edges", plan(order=list(FREE), edges=[["gather", "compare"]]), "say different things"),
    (
        "a next that is not a step",
        plan(own=each("next", "the comparison", "decide", None)),
        "steps[0].next: a step has no such field",
    ),
    (
        "some phases",
        plan(own={"gather": {"phase": 1}, "compare": {"phase": 2}}),
        "steps[0].phase: a step has no such field",
    ),
    (
        "a field of any name that names another step",
        plan(own={"compare": {"run_after": "gather"}}),
        "steps[1].run_after: a step has no such field",
    ),
    (
        "some in parallel",
        plan(own={"gather": {"parallel": True}, "decide": {"parallel": False}}),
        "steps.parallel: this may be an order",
    ),
    (
        "what follows by another name",
        plan(own=each("triggers_next", "compare", "decide", "")),
        "steps[0].triggers_next",
    ),
]


@pytest.mark.parametrize(("data", "runs"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_an_order_is_read_wherever_it_stands(data: dict[str, Any], runs: dict[str, set[str]]) -> None:
    found, wrong, changes = read_plan(data)
    assert wrong == []
    assert found is not None
    assert {each.step: set(each.depends_on) for each in found.steps} == runs
    assert read_plan(found.model_dump(mode="json")) == (found, [], [])
    assert runs is FREE or any("depends_on" in change.change or "order" in change.change for change in changes)


@pytest.mark.parametrize(("data", "doubt"), [case[1:] for case in SENT_BACK], ids=[case[0] for case in SENT_BACK])
def test_what_may_be_an_order_and_is_not_understood_is_a_problem(data: dict[str, Any], doubt: str) -> None:
    found, wrong, _ = read_plan(data)
    assert found is None
    assert doubt in "\n".join(wrong)
    assert "depends_on" in "\n".join(wrong)


@steady
@given(dags(8), st.sampled_from(["edges", "pairs", "arrows", "map", "next", "within"]))
def test_any_graph_is_the_same_in_every_form(graph: DAG, form: str) -> None:
    pairs = [(needed, node) for node in graph for needed in graph[node]]
    after = {node: [other for one, other in pairs if one == node] for node in graph}
    steps = [step(node, **({"next": after[node]} if form == "within" else {})) for node in graph]
    forms: dict[str, dict[str, Any]] = {
        "edges": {"edges": [{"source": one, "target": other} for one, other in pairs]},
        "pairs": {"edges": [[one, other] for one, other in pairs]},
        "arrows": {"edges": [f"{one} -> {other}" for one, other in pairs]},
        "map": {"dependencies": {node: list(needed) for node, needed in graph.items()}},
        "next": {"next": after},
        "within": {},
    }
    found, wrong, _ = read_plan({"steps": steps, **forms[form]})
    assert wrong == []
    assert found is not None
    assert {each.step: set(each.depends_on) for each in found.steps} == {node: set(graph[node]) for node in graph}


@steady
@given(dags(8))
def test_a_list_of_phases_keeps_every_step_behind_what_stood_before_it(graph: DAG) -> None:
    names = list(graph)
    phases = [names[start : start + 2] for start in range(0, len(names), 2)]
    found, wrong, _ = read_plan({"steps": [step(name) for name in names], "phases": phases})
    assert wrong == []
    assert found is not None
    read: DAG = {each.step: each.depends_on for each in found.steps}
    for before, phase in pairwise(phases):
        assert closure(read, {before[0]}) >= set(phase)
