"""Random acyclic graphs for tests, and an event loop whose clock runs as fast as there is nothing to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

T = TypeVar("T")
DAG = dict[str, tuple[str, ...]]

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
"""For tests by examples: how busy the machine is decides nothing."""


@st.composite
def dags(draw: st.DrawFn, most: int = 30) -> DAG:
    """Draw an acyclic graph of up to `most` nodes, each with what it depends on, in any order."""
    size = draw(st.integers(1, most))
    dependencies = [
        draw(st.lists(st.integers(0, node - 1), max_size=4, unique=True)) if node else [] for node in range(size)
    ]
    order = draw(st.permutations(range(size)))
    return {f"n{node}": tuple(f"n{other}" for other in dependencies[node]) for node in order}


def closure(graph: DAG, roots: set[str]) -> set[str]:
    """Return all nodes that depend on one of the roots, however far."""
    found: set[str] = set()
    for _ in graph:
        found |= {node for node, needed in graph.items() if set(needed) & (roots | found)}
    return found


def longest(graph: DAG, weights: dict[str, int]) -> int:
    """Return the weight of the heaviest path, worked out by its definition."""
    known: dict[str, int] = {}

    def until(node: str) -> int:
        if node not in known:
            known[node] = weights[node] + max((until(other) for other in graph[node]), default=0)
        return known[node]

    return max(until(node) for node in graph)


class _Jump(selectors.DefaultSelector):
    """Instead of waiting, lets the time go by."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits for what never happens"
        self.skipped += max(timeout, 0.0)
        return super().select(0)


class FastClock(asyncio.SelectorEventLoop):
    """A loop in which a second of sleep takes no time; it fails where it would wait for ever."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.skipped


def run_fast(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a fast clock that starts at zero; nothing may be left running."""
    loop = FastClock()
    try:
        result = loop.run_until_complete(main)
        assert not asyncio.all_tasks(loop)
        return result
    finally:
        loop.close()
