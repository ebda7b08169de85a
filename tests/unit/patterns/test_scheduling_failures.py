"""What a failed or cancelled node does to the rest of its graph, and that nothing is left running or run again."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.exceptions import ApplicationError

from outlast.dag import AfterFailure, Outcome, run_graph
from outlast.errors import ErrorKind
from outlast.workflow.failures import HaltedError
from tests.unit.patterns.graphs import DAG, closure, dags, run_fast, steady


@dataclass
class Nodes:
    """Nodes that take a second each, or as long as said, and fail where said; `leaving` is what a cancelled one still does."""

    failing: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    leaving: float = 0.0
    started: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    skips: list[tuple[str, str]] = field(default_factory=list)

    async def execute(self, node: str) -> str:
        self.started.append(node)
        try:
            await asyncio.sleep(self.seconds.get(node, 1))
        except asyncio.CancelledError:
            self.cancelled.append(node)
            await asyncio.sleep(self.leaving)
            self.left.append(node)
            raise
        if node in self.failing:
            raise ApplicationError(node)
        return node

    async def run(self, graph: DAG, **options: Any) -> dict[str, Outcome[str]]:
        options = {"max_parallel": 100, **options}
        return await run_graph(graph, self.execute, on_skip=lambda *skip: self.skips.append(skip), **options)


@st.composite
def failing(draw: st.DrawFn) -> tuple[DAG, set[str], int]:
    graph = draw(dags())
    return graph, draw(st.sets(st.sampled_from(sorted(graph)), max_size=4)), draw(st.integers(1, 8))


@steady
@given(failing())
def test_exactly_what_depends_on_a_failed_node_is_skipped(drawn: tuple[DAG, set[str], int]) -> None:
    graph, fail, width = drawn
    nodes = Nodes(failing=fail)
    outcomes = run_fast(nodes.run(graph, max_parallel=width))
    failed = {node for node, outcome in outcomes.items() if outcome.error}
    skipped = {node for node, outcome in outcomes.items() if outcome.skipped_by}
    assert skipped == closure(graph, fail & failed)
    assert failed == fail - skipped
    assert set(outcomes) == set(graph)
    assert Counter(nodes.started) == Counter(set(graph) - skipped)
    assert dict(nodes.skips) == {node: outcomes[node].skipped_by for node in skipped}
    assert len(nodes.skips) == len(skipped)
    for node in skipped:
        assert outcomes[node].skipped_by in failed
        assert node in closure(graph, {str(outcomes[node].skipped_by)})


def test_skips_are_told_in_the_order_in_which_nodes_would_have_started() -> None:
    nodes = Nodes(failing={"bad"})
    run_fast(nodes.run({"short": ("bad",), "long": ("bad",), "end": ("long",), "bad": ()}))
    assert nodes.skips == [("long", "bad"), ("short", "bad"), ("end", "bad")]


@steady
@given(failing())
def test_draining_lets_what_runs_finish_and_starts_nothing_more(drawn: tuple[DAG, set[str], int]) -> None:
    graph, fail, width = drawn
    nodes = Nodes(failing=fail)
    outcomes = run_fast(nodes.run(graph, max_parallel=width, after_failure=AfterFailure.DRAIN))
    assert set(outcomes) == set(nodes.started)
    assert nodes.cancelled == []
    assert nodes.skips == []
    if not fail & set(nodes.started):
        assert set(outcomes) == set(graph)


@steady
@given(failing())
def test_cancelling_ends_what_runs(drawn: tuple[DAG, set[str], int]) -> None:
    graph, fail, width = drawn
    seconds: dict[str, float] = {node: 1 if node in fail else 2 for node in graph}
    nodes = Nodes(failing=fail, seconds=seconds)
    outcomes = run_fast(nodes.run(graph, max_parallel=width, after_failure=AfterFailure.CANCEL))
    assert set(outcomes) == set(nodes.started)
    for node in nodes.cancelled:
        assert isinstance(outcomes[node].error, asyncio.CancelledError)
    assert nodes.skips == []


SIDE_BY_SIDE: DAG = {"bad": (), "good": (), "other": (), "after": ("good",)}


@pytest.mark.parametrize(
    ("after_failure", "ended", "took"),
    [
        (AfterFailure.GO_ON, {"bad": False, "good": True, "other": True, "after": True}, 6),
        (AfterFailure.DRAIN, {"bad": False, "good": True, "other": True}, 5),
        (AfterFailure.CANCEL, {"bad": False, "good": False, "other": False}, 1),
    ],
)
def test_the_three_ways_after_a_failure(after_failure: AfterFailure, ended: dict[str, bool], took: int) -> None:
    async def timed() -> tuple[dict[str, Outcome[str]], float]:
        outcomes = await Nodes(failing={"bad"}, seconds={"good": 5, "other": 2}).run(
            SIDE_BY_SIDE, after_failure=after_failure
        )
        return outcomes, asyncio.get_running_loop().time()

    outcomes, seconds = run_fast(timed())
    assert {node: outcome.ok for node, outcome in outcomes.items()} == ended
    assert seconds == took


def test_a_node_that_leaves_cleanly_is_asked_to_stop_only_once() -> None:
    nodes = Nodes(failing={"bad"}, seconds={"good": 9, "other": 9}, leaving=3)
    outcomes = run_fast(nodes.run({"bad": (), "good": (), "other": ()}, after_failure=AfterFailure.CANCEL))
    assert sorted(nodes.left) == ["good", "other"]
    assert len(outcomes) == 3


def test_what_stops_first_does_not_hurry_what_still_leaves() -> None:
    left: list[str] = []

    async def execute(node: str) -> None:
        if node == "bad":
            raise ApplicationError(node)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep({"quick": 1, "thorough": 5}[node])
            left.append(node)

    graph: DAG = {"bad": (), "quick": (), "thorough": ()}
    run_fast(run_graph(graph, execute, max_parallel=9, after_failure=AfterFailure.CANCEL))
    assert left == ["quick", "thorough"]


@steady
@given(failing(), st.integers(0, 6))
def test_cancelling_the_run_cancels_every_running_node_and_waits_for_it(
    drawn: tuple[DAG, set[str], int], after: int
) -> None:
    graph, _, width = drawn
    nodes, ended = Nodes(leaving=2), dict[str, Outcome[str]]()

    async def cancel() -> None:
        task = asyncio.ensure_future(nodes.run(graph, max_parallel=width, outcomes=ended))
        await asyncio.sleep(after + 0.5)
        if task.done():
            return
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_fast(cancel())
    assert sorted(nodes.cancelled) == sorted(nodes.left) == sorted(set(nodes.started) - set(ended))
    assert all(ended[node].ok for node in ended)


def test_a_node_that_cannot_even_start_leaves_nothing_running() -> None:
    nodes = Nodes(seconds={"long": 60})

    def execute(node: str) -> Any:
        if node == "broken":
            raise ApplicationError(node)
        return nodes.execute(node)

    with pytest.raises(ApplicationError):
        run_fast(run_graph({"a": (), "broken": ("a",), "long": ()}, execute, max_parallel=9))
    assert nodes.cancelled == ["long"]


@steady
@given(dags(), st.data())
def test_given_outcomes_are_kept_and_not_run_again(graph: DAG, data: st.DataObject) -> None:
    given_nodes = data.draw(st.sets(st.sampled_from(sorted(graph))))
    broken = data.draw(st.sets(st.sampled_from(sorted(given_nodes)))) if given_nodes else set()
    error = ApplicationError("earlier")
    before = {node: Outcome(error=error) if node in broken else Outcome(value="old") for node in sorted(given_nodes)}
    outcomes, nodes = dict(before), Nodes()
    assert run_fast(nodes.run(graph, outcomes=outcomes)) is outcomes
    assert {node: outcomes[node] for node in before} == before
    skipped = {node for node, outcome in outcomes.items() if outcome.skipped_by}
    assert Counter(nodes.started) == Counter(set(graph) - given_nodes - skipped)
    assert set(outcomes) == set(graph)


@pytest.mark.parametrize("after", list(AfterFailure))
def test_a_bug_is_no_outcome_and_waits_for_nobody(after: AfterFailure) -> None:
    """What the others did in order to leave would be committed to history with the failed task."""
    nodes = Nodes(seconds={"slow": 10}, leaving=5)

    async def execute(node: str) -> str:
        if node == "broken":
            await asyncio.sleep(1)
            raise KeyError(node)
        return await nodes.execute(node)

    async def main() -> float:
        with pytest.raises(KeyError):
            await run_graph({"slow": (), "broken": ()}, execute, max_parallel=2, after_failure=after)
        ended = asyncio.get_running_loop().time()
        (left,) = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        left.cancel()
        await asyncio.wait([left])
        return ended

    assert run_fast(main()) == 1
    assert nodes.left == ["slow"]


def test_a_halt_is_no_outcome_and_stops_the_others() -> None:
    nodes = Nodes(seconds={"slow": 10}, leaving=5)
    halted = HaltedError(ApplicationError("nobody decided", type=ErrorKind.HALTED))

    async def execute(node: str) -> str:
        if node == "gate":
            await asyncio.sleep(1)
            raise halted
        return await nodes.execute(node)

    async def main() -> None:
        await run_graph({"slow": (), "gate": (), "after": ("gate",), "next": ()}, execute, max_parallel=2)

    with pytest.raises(HaltedError):
        run_fast(main())
    assert (nodes.started, nodes.left) == (["slow"], ["slow"])
