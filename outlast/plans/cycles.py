"""Cycles in a plan: steps that wait for each other, found and reported. Pure."""

from collections.abc import Iterable, Mapping, Sequence


def cycle_problems(graph: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """Yield one problem for each cycle, with the way round and what to change; no step is named twice.

    Args:
        graph: The steps that each step depends on, by step.
    """
    left = dict(graph)
    while cycle := find_cycle(left):
        path = " → ".join(cycle)
        yield f"the steps wait for each other in a circle: {path}; drop one of these dependencies"
        left = {node: left[node] for node in left if node not in cycle}


def find_cycle(graph: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one cycle as a path that ends where it began, each node depending on the next; empty if there is none.

    A node that depends on itself, or on one that does not exist, makes no cycle here: those are problems of their own.
    """
    cleared: dict[str, None] = {}
    for root in graph:
        # The path from the root down, each node with the dependencies still to visit.
        path = {} if root in cleared else {root: iter(graph[root])}
        while path:
            node, waiting = next(reversed(path.items()))
            after = next((name for name in waiting if name in graph and name not in cleared and name != node), None)
            if after is None:
                cleared[node] = None
                path.popitem()
            elif after in path:
                nodes = list(path)
                return [*nodes[nodes.index(after) :], after]
            else:
                path[after] = iter(graph[after])
    return []
