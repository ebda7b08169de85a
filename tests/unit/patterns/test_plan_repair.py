"""Repairs keep the meaning and are recorded, and the shape of a plan is what its graph says."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.contracts import Plan, PlanStep
from outlast.plans.checking import ends_of, graph_of, problems, repair, resolve_agent, shape_of
from tests.unit.patterns.graphs import DAG, closure, dags, longest, steady
from tests.unit.patterns.test_planning import AGENTS, PROBLEMS, plan, step


def of(graph: DAG) -> Plan:
    return plan(*(step(node, *needed) for node, needed in graph.items()))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Writer", "writer"),
        (" the WRITER agent ", "writer"),
        ("writer_agent", "writer"),
        ("WriterAgent", "writer"),
        ("LegalAnalyst", "legal-analyst"),
        ("legal analyst", "legal-analyst"),
        ("write", "write"),
        ("", ""),
        ("the agent", "the agent"),
    ],
)
def test_agents_are_resolved_only_where_one_can_be_meant(written: str, read: str) -> None:
    assert resolve_agent(written, AGENTS) == read


def test_an_agent_that_could_be_two_is_left_as_it_is() -> None:
    assert resolve_agent("Web Agent", ("web", "web-agent")) == "Web Agent"
    assert resolve_agent("", ("agent", "writer")) == ""


def test_each_repair_is_recorded() -> None:
    repaired, changes = repair(plan(step("b", "a", "a", agent="Writer"), step("a")), AGENTS)
    assert repaired == plan(step("a"), step("b", "a"))
    assert [(change.stage, change.change) for change in changes] == [
        ("deterministic", "step b: agent 'Writer' is read as 'writer'"),
        ("deterministic", "step b: repeated dependencies dropped"),
        ("deterministic", "steps moved behind their dependencies, now in the order a, b"),
    ]


@pytest.mark.parametrize("name", ["duplicate id", "missing dependency", "self-dependency", "circle", "unknown agent"])
def test_repair_never_hides_a_problem(name: str) -> None:
    wrong, expected = next(case[1:] for case in PROBLEMS if case[0] == name)
    repaired, _ = repair(wrong, AGENTS)
    assert problems(repaired, AGENTS, max_steps=6) == expected


IDS = st.sampled_from("abcdef")
STEPS = st.builds(
    PlanStep, step=IDS, agent=st.sampled_from(["writer", "Writer", "THE writer", "x"]), input=st.text(max_size=3),
    depends_on=st.lists(IDS, max_size=5).map(tuple),
)  # fmt: skip


@steady
@given(st.lists(STEPS, max_size=8))
def test_repair_keeps_the_meaning_and_repairing_twice_changes_nothing(steps: list[PlanStep]) -> None:
    repaired, changes = repair(plan(*steps), AGENTS)
    assert sorted(map(meaning, repaired.steps)) == sorted(map(meaning, steps))
    assert bool(changes) == (repaired != plan(*steps))
    assert repair(repaired, AGENTS) == (repaired, [])


def meaning(step: PlanStep) -> tuple[str, str, list[str]]:
    return step.step, step.input, sorted(set(step.depends_on))


@steady
@given(dags())
def test_repaired_steps_stand_behind_what_they_need(graph: DAG) -> None:
    repaired, _ = repair(of(graph), AGENTS)
    assert problems(repaired, AGENTS, max_steps=30) == []
    seen: set[str] = set()
    for node in repaired.steps:
        assert set(node.depends_on) <= seen
        seen.add(node.step)


def test_the_shape_of_a_known_plan() -> None:
    diamond = of({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c"), "e": (), "f": ("c",), "g": ("d", "e")})
    shape = shape_of(diamond)
    assert shape.waves == (("a", "e"), ("b", "c"), ("d", "f"), ("g",))
    assert shape.critical_path == ("a", "b", "d", "g")
    assert ends_of(diamond) == ["f", "g"]


@steady
@given(dags())
def test_the_shape_of_any_plan(graph: DAG) -> None:
    shape = shape_of(of(graph))
    assert len(shape.critical_path) == len(shape.waves) == longest(graph, dict.fromkeys(graph, 1))
    assert all(a in graph[b] for a, b in pairwise(shape.critical_path))
    assert sorted(node for wave in shape.waves for node in wave) == sorted(graph)
    depth = {node: number for number, wave in enumerate(shape.waves) for node in wave}
    assert all(depth[needed] < depth[node] for node in graph for needed in graph[node])
    assert graph_of(of(graph)) == graph
    assert [node for node in graph if not closure(graph, {node})] == ends_of(of(graph))
