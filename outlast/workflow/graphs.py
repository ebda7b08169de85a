"""Directed acyclic graphs: their order, and the longest path from each node. Pure."""

from collections.abc import Mapping, Sequence

Graph = Mapping[str, Sequence[str]]
"""Each node with the nodes it depends on; the order of nodes breaks ties."""


def remaining_paths(graph: Graph) -> dict[str, int]:
    """Count, for each node, the nodes on the longest path from it to an end, itself included; raises as `topological`."""
    order = topological(graph)
    dependents = dependents_of(graph)
    lengths: dict[str, int] = {}
    for node in reversed(order):
        lengths[node] = 1 + max((lengths[after] for after in dependents[node]), default=0)
    return lengths


def dependents_of(graph: Graph) -> dict[str, list[str]]:
    """Turn the graph round: each node with the nodes that depend on it, in the order of the graph."""
    dependents: dict[str, list[str]] = {node: [] for node in graph}
    for node, dependencies in graph.items():
        for dependency in dict.fromkeys(dependencies):
            dependents[dependency].append(node)
    return dependents


def topological(graph: Graph) -> list[str]:
    """Order the nodes so that each comes after its dependencies, otherwise as they stand.

    Raises ValueError if the graph has a circle or names a node that does not exist.
    """
    placed: dict[str, None] = {}
    for root in graph:
        # The path from the root down, each node with the dependencies still to visit.
        path = {} if root in placed else {root: iter(graph[root])}
        while path:
            node, waiting = next(reversed(path.items()))
            dependency = next((name for name in waiting if name not in placed), None)
            if dependency is None:
                placed[node] = None
                path.popitem()
            elif dependency in path or dependency not in graph:
                raise ValueError(f"not an acyclic graph: {node} depends on {dependency}")
            else:
                path[dependency] = iter(graph[dependency])
    return list(placed)
