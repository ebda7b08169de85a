"""Runs a directed acyclic graph: a node starts the moment its own dependencies are done.

Where the width limit binds, the node with the longest remaining path goes first, because delaying it delays the end.
Deterministic: the order of starts depends on the graph and on the order of completions alone. The trap: waves (all of one
depth, then all of the next) look alike but wait for the slowest of each wave.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from temporalio import workflow

T = TypeVar("T")
Graph = Mapping[str, Sequence[str]]
"""Each node with the nodes it depends on; the order of nodes breaks ties."""


class AfterFailure(StrEnum):
    """What happens to the rest of the graph when a node fails."""

    GO_ON = "go_on"
    """Only what depends on it is skipped."""
    DRAIN = "drain"
    """Nothing new starts, what runs finishes."""
    CANCEL = "cancel"
    """Nothing new starts, what runs is cancelled."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """How a node ended: with a value, with an error, or skipped because of another node (`skipped_by`)."""

    value: T | None = None
    error: BaseException | None = None
    skipped_by: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the node is done."""
        return self.error is None and self.skipped_by is None


def remaining_paths(graph: Graph) -> dict[str, int]:
    """Count, for each node, the nodes on the longest path from it to an end, itself included."""
    dependents: dict[str, list[str]] = {node: [] for node in graph}
    for node, dependencies in graph.items():
        for dependency in dependencies:
            dependents[dependency].append(node)
    lengths: dict[str, int] = {}
    for node in reversed(topological(graph)):
        lengths[node] = 1 + max((lengths[after] for after in dependents[node]), default=0)
    return lengths


def topological(graph: Graph) -> list[str]:
    """Order the nodes so that each comes after its dependencies, otherwise as they stand; the graph must be acyclic."""
    placed: dict[str, None] = {}
    for root in graph:
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [dependency for dependency in graph[node] if dependency not in placed]
            if waiting:
                stack.append(waiting[0])
            else:
                stack.pop()
                placed.setdefault(node)
    return list(placed)


async def run_graph(
    graph: Graph,
    execute: Callable[[str], Coroutine[Any, Any, T]],
    *,
    max_parallel: int,
    outcomes: dict[str, Outcome[T]] | None = None,
    after_failure: AfterFailure = AfterFailure.GO_ON,
    on_skip: Callable[[str, str], None] | None = None,
) -> dict[str, Outcome[T]]:
    """Execute every node once and return all outcomes; nodes that have one in `outcomes` are not run again.

    `outcomes` is filled as nodes end, so that `execute` can read the values of its node's dependencies there. Nodes
    that never started because of DRAIN or CANCEL are absent from the result. Cancelling this call cancels all running
    nodes. `on_skip(node, cause)` is called for each node that is skipped.
    """
    running = _Running(graph, execute, max_parallel, {} if outcomes is None else outcomes, on_skip)
    try:
        while True:
            if not running.stopped:
                running.start_ready()
            if not running.tasks:
                return running.outcomes
            await workflow.wait(list(running.tasks.values()), return_when=asyncio.FIRST_COMPLETED)
            failed = running.collect()
            if failed and after_failure is not AfterFailure.GO_ON:
                running.stopped = True
                if after_failure is AfterFailure.CANCEL:
                    running.cancel()
    except asyncio.CancelledError:
        running.cancel()
        await asyncio.gather(*running.tasks.values(), return_exceptions=True)
        raise


class _Running(Generic[T]):
    """The state of one graph run; all collections keep insertion order."""

    def __init__(
        self,
        graph: Graph,
        execute: Callable[[str], Coroutine[Any, Any, T]],
        max_parallel: int,
        outcomes: dict[str, Outcome[T]],
        on_skip: Callable[[str, str], None] | None,
    ) -> None:
        self.outcomes = outcomes
        self.tasks: dict[str, asyncio.Task[T]] = {}
        self.stopped = False
        self._execute = execute
        self._max_parallel = max_parallel
        self._on_skip = on_skip
        self._graph = graph
        rank = {node: position for position, node in enumerate(graph)}
        paths = remaining_paths(graph)
        self._waiting = sorted(
            (node for node in graph if node not in outcomes), key=lambda node: (-paths[node], rank[node])
        )

    def start_ready(self) -> None:
        """Start what can start, longest remaining path first; skip what can never start."""
        progress = True
        while progress:
            progress = False
            still_waiting = []
            for node in self._waiting:
                blocker = self._blocker(node)
                if blocker is not None:
                    self.outcomes[node] = Outcome(skipped_by=blocker)
                    if self._on_skip:
                        self._on_skip(node, blocker)
                    progress = True
                elif len(self.tasks) < self._max_parallel and self._ready(node):
                    self.tasks[node] = asyncio.create_task(self._execute(node))
                else:
                    still_waiting.append(node)
            self._waiting = still_waiting

    def collect(self) -> bool:
        """Move ended tasks to the outcomes; returns whether one of them failed."""
        ended = [node for node, task in self.tasks.items() if task.done()]
        failed = False
        for node in ended:
            task = self.tasks.pop(node)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            self.outcomes[node] = Outcome(error=error) if error else Outcome(value=task.result())
            failed = failed or error is not None
        return failed

    def cancel(self) -> None:
        """Ask every running node to stop."""
        for task in self.tasks.values():
            task.cancel()

    def _ready(self, node: str) -> bool:
        return all(dependency in self.outcomes for dependency in self._graph[node])

    def _blocker(self, node: str) -> str | None:
        for dependency in self._graph[node]:
            outcome = self.outcomes.get(dependency)
            if outcome is not None and not outcome.ok:
                return outcome.skipped_by or dependency
        return None
