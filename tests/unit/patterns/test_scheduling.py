"""Any acyclic graph runs in order, once, as wide as allowed and as fast as it can, on a clock that takes no time."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.dag import Outcome, run_graph
from outlast.workflow.graphs import dependents_of, remaining_paths, topological
from tests.unit.patterns.graphs import DAG, dags, longest, run_fast, steady

WIDE = 1000


@dataclass
class Performance:
    """One run of a graph with given durations in seconds: what started and ended when, and what came out."""

    graph: DAG
    durations: dict[str, int]
    width: int = WIDE
    starts: list[tuple[float, str]] = field(default_factory=list)
    ends: dict[str, float] = field(default_factory=dict)
    widest: int = 0
    outcomes: dict[str, Outcome[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run_fast(self._run())

    async def _run(self) -> None:
        self.outcomes = await run_graph(self.graph, self._execute, max_parallel=self.width)

    async def _execute(self, node: str) -> str:
        now = asyncio.get_running_loop().time
        self.starts.append((now(), node))
        self.widest = max(self.widest, len(self.starts) - len(self.ends))
        await asyncio.sleep(self.durations[node])
        self.ends[node] = now()
        return f"value of {node}"

    @property
    def makespan(self) -> float:
        return max(self.ends.values())


@st.composite
def timed(draw: st.DrawFn) -> tuple[DAG, dict[str, int]]:
    graph = draw(dags())
    return graph, {node: draw(st.integers(0, 9)) for node in graph}


@steady
@given(timed(), st.integers(1, 8))
def test_every_node_runs_once_after_its_dependencies_within_the_limit(
    drawn: tuple[DAG, dict[str, int]], width: int
) -> None:
    graph, durations = drawn
    ran = Performance(graph, durations, width)
    assert Counter(node for _, node in ran.starts) == Counter(list(graph))
    assert ran.widest <= width
    for start, node in ran.starts:
        assert all(ran.ends[needed] <= start for needed in graph[node])
    assert ran.outcomes == {node: Outcome(value=f"value of {node}") for node in graph}


@steady
@given(timed())
def test_without_a_limit_it_takes_as_long_as_the_critical_path(drawn: tuple[DAG, dict[str, int]]) -> None:
    graph, durations = drawn
    ran = Performance(graph, durations)
    assert ran.makespan == longest(graph, durations)
    for start, node in ran.starts:
        assert start == max((ran.ends[needed] for needed in graph[node]), default=0)


@steady
@given(timed(), st.integers(1, 8))
def test_with_a_limit_it_takes_at_most_twice_the_least_possible(drawn: tuple[DAG, dict[str, int]], width: int) -> None:
    graph, durations = drawn
    ran = Performance(graph, durations, width)
    least = max(longest(graph, durations), sum(durations.values()) / width)
    assert least <= ran.makespan <= 2 * least


@steady
@given(timed(), st.integers(1, 8))
def test_no_place_is_left_empty_while_a_node_could_run(drawn: tuple[DAG, dict[str, int]], width: int) -> None:
    graph, durations = drawn
    ran = Performance(graph, durations, width)
    for start, node in ran.starts:
        ready = max((ran.ends[needed] for needed in graph[node]), default=0)
        others = [(begun, ran.ends[other]) for begun, other in ran.starts if other != node]
        for moment in {ready, *(end for _, end in others if ready <= end < start)} - {start}:
            assert sum(begun <= moment < end for begun, end in others) == width


@steady
@given(timed(), st.integers(1, 8))
def test_the_same_durations_give_the_same_order(drawn: tuple[DAG, dict[str, int]], width: int) -> None:
    assert Performance(*drawn, width).starts == Performance(*drawn, width).starts


def test_the_longest_remaining_path_goes_first_where_the_limit_binds() -> None:
    graph: DAG = {"a": (), "b": (), "c": (), "b2": ("b",), "c2": ("c",), "c3": ("c2",)}
    ran = Performance(graph, dict.fromkeys(graph, 1), width=1)
    assert [node for _, node in ran.starts] == ["c", "b", "c2", "a", "b2", "c3"]


def test_a_node_starts_at_once_when_its_own_dependencies_are_done() -> None:
    graph: DAG = {"fast": (), "slow": (), "after fast": ("fast",), "after slow": ("slow",)}
    ran = Performance(graph, {"fast": 1, "slow": 50, "after fast": 3, "after slow": 1})
    assert (3.0 - 2.0, "after fast") in ran.starts
    assert ran.makespan == 51


@steady
@given(dags())
def test_order_paths_and_dependents_agree_with_the_graph(graph: DAG) -> None:
    order = topological(graph)
    assert sorted(order) == sorted(graph)
    assert all(order.index(needed) < order.index(node) for node in graph for needed in graph[node])
    assert topological({node: graph[node] for node in order}) == order
    dependents = dependents_of(graph)
    assert {(a, b) for a in graph for b in graph[a]} == {(a, b) for b in graph for a in dependents[b]}
    turned = {node: tuple(after) for node, after in dependents.items()}
    paths = remaining_paths(graph)
    for node in graph:
        assert paths[node] == 1 + max((paths[after] for after in turned[node]), default=0)


@pytest.mark.parametrize(
    "graph",
    [{"a": ("b",), "b": ("a",)}, {"a": ("a",)}, {"a": ("x",)}, {"r": (), "a": ("r", "b"), "b": ("c",), "c": ("a",)}],
)
async def test_a_graph_that_cannot_run_is_refused_instead_of_hanging(graph: DAG) -> None:
    async def never(node: str) -> None:
        raise AssertionError(node)

    with pytest.raises(ValueError, match="depends on"):
        topological(graph)
    with pytest.raises(ValueError, match="depends on"):
        await run_graph(graph, never, max_parallel=1)


async def test_a_width_below_one_is_refused_instead_of_running_nothing() -> None:
    async def never(node: str) -> None:
        raise AssertionError(node)

    with pytest.raises(ValueError, match="max_parallel is 0"):
        await run_graph({"a": ()}, never, max_parallel=0)


async def test_an_empty_graph_is_done_at_once() -> None:
    async def never(node: str) -> None:
        raise AssertionError(node)

    assert await run_graph({}, never, max_parallel=1) == {}


def test_a_chain_of_five_thousand_runs_without_recursion() -> None:
    chain: DAG = {str(n): (str(n + 1),) if n < 4999 else () for n in range(5000)}
    ran = Performance(chain, dict.fromkeys(chain, 1))
    assert ran.makespan == 5000
