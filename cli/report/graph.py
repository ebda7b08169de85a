"""Draws a plan as a graph: each step in the column of its depth, an arrow for each dependency. Pure: rows in, places out."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflows.contracts import StepRow

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 44, 56, 16, 8
"""Of a box and between boxes, in pixels."""


@dataclass(frozen=True)
class Box:
    """A step's place, by its upper left corner."""

    step: str
    x: int
    y: int


@dataclass(frozen=True)
class Drawing:
    """All boxes, the arrows as (from, to), and the size of the whole."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[Box, Box], ...]
    width: int
    height: int


def drawing(rows: Mapping[str, StepRow]) -> Drawing:
    """Place every step; a dependency that is no step of the run is left out."""
    columns: dict[int, list[str]] = {}
    for name, depth in depths(rows).items():
        columns.setdefault(depth, []).append(name)
    places = {
        name: Box(name, MARGIN + depth * (WIDTH + GAP_X), MARGIN + line * (HEIGHT + GAP_Y))
        for depth, names in columns.items()
        for line, name in enumerate(names)
    }
    arrows = [
        (places[before], places[name]) for name, row in rows.items() for before in row.depends_on if before in places
    ]
    tallest = max(map(len, columns.values()), default=0)
    return Drawing(
        boxes=tuple(places.values()),
        arrows=tuple(arrows),
        width=2 * MARGIN + len(columns) * (WIDTH + GAP_X) - (GAP_X if columns else 0),
        height=2 * MARGIN + tallest * (HEIGHT + GAP_Y) - (GAP_Y if tallest else 0),
    )


def depths(rows: Mapping[str, StepRow]) -> dict[str, int]:
    """Count for each step how many others come before it on the longest way; steps in a circle count as if not."""
    found: dict[str, int] = {}
    for _ in range(len(rows) + 1):
        before = dict(found)
        for name, row in rows.items():
            found[name] = 1 + max((found.get(each, -1) for each in row.depends_on if each in rows), default=-1)
        if found == before or max(found.values(), default=0) > len(rows):
            break
    return {name: min(depth, len(rows)) for name, depth in found.items()}
