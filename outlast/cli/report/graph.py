"""Draws a plan as a graph: each step in the column of its depth, an arrow for each dependency. Pure: rows in, places out.

An arrow over several columns gets a lane of its own through each column between, so that no line runs behind a box. All arrows
that leave one step share its lane.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from outlast.contracts import StepRow

WIDTH, HEIGHT, LANE, GAP_X, GAP_Y, MARGIN = 168, 44, 4, 56, 14, 8
"""Of a box, height of a lane, and between them, in pixels."""


@dataclass(frozen=True)
class Box:
    """A step's place, by its upper left corner."""

    step: str
    x: int
    y: int


@dataclass(frozen=True)
class Arrow:
    """A dependency; `path` is its way in the words of SVG."""

    tail: str
    head: str
    path: str


@dataclass(frozen=True)
class Drawing:
    """All boxes, the arrows, and the size of the whole."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: int
    height: int


Slot = tuple[str, int]
"""What a column holds: a step in the column of its depth, or its lane in a later one."""


def drawing(rows: Mapping[str, StepRow]) -> Drawing:
    """Place every step; a dependency that is no step of the run is left out."""
    depth = depths(rows)
    needs = {name: [one for one in dict.fromkeys(_before(row)) if one in rows] for name, row in rows.items()}
    forward = [(before, name) for name in rows for before in needs[name] if depth[before] < depth[name]]
    columns = _columns(depth, forward)
    tops: dict[Slot, int] = {}
    bottom = 0
    for at, slots in enumerate(columns):
        y = MARGIN
        for slot in slots:
            tops[slot] = y
            y += (HEIGHT if depth[slot[0]] == at else LANE) + GAP_Y
        bottom = max(bottom, y - GAP_Y)
    boxes = [
        Box(name, _left(depth[name]), tops[name, depth[name]]) for column in columns for name in _steps(column, depth)
    ]
    return Drawing(
        boxes=tuple(boxes),
        arrows=tuple(Arrow(tail, head, _path(tail, head, depth, tops)) for tail, head in forward),
        width=_left(len(columns)) - GAP_X + MARGIN if columns else 0,
        height=bottom + MARGIN,
    )


def _columns(depth: Mapping[str, int], forward: list[tuple[str, str]]) -> list[list[Slot]]:
    """List what each column holds from top to bottom: near what it comes from, so that few lines cross."""
    last = dict(depth)
    for before, name in forward:
        last[before] = max(last[before], depth[name] - 1)
    columns: list[list[Slot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in depth:
        for at in range(depth[name], last[name] + 1):
            columns[at].append((name, at))
    place: dict[Slot, float] = {}
    for at, slots in enumerate(columns):
        wanted = {}
        for name, _ in slots:
            sources = [before for before, head in forward if head == name] if depth[name] == at else [name]
            known = [place[one, at - 1] for one in sources if (one, at - 1) in place]
            wanted[name] = sum(known) / len(known) if known else 0.0
        slots.sort(key=lambda slot: wanted[slot[0]])
        place |= {slot: float(line) for line, slot in enumerate(slots)}
    return columns


def _steps(column: list[Slot], depth: Mapping[str, int]) -> list[str]:
    return [name for name, at in column if depth[name] == at]


def _left(column: int) -> int:
    return MARGIN + column * (WIDTH + GAP_X)


def _path(tail: str, head: str, depth: Mapping[str, int], tops: Mapping[Slot, int]) -> str:
    """Lead a line from the right side of one box to the left side of another: curves between columns, straight through them."""
    x, y = _left(depth[tail]) + WIDTH, tops[tail, depth[tail]] + HEIGHT // 2
    path = [f"M{x} {y}"]
    for at in range(depth[tail] + 1, depth[head] + 1):
        slot = (head, at) if at == depth[head] else (tail, at)
        to_x, to_y = _left(at), tops[slot] + (HEIGHT if at == depth[head] else LANE) // 2
        middle = GAP_X // 2
        path.append(f"C{x + middle} {y} {to_x - middle} {to_y} {to_x} {to_y}")
        if at < depth[head]:
            path.append(f"H{to_x + WIDTH}")
        x, y = to_x + WIDTH, to_y
    return " ".join(path)


def depths(rows: Mapping[str, StepRow]) -> dict[str, int]:
    """Count for each step how many others come before it on the longest way; steps in a circle count as if not."""
    found: dict[str, int] = {}
    for _ in range(len(rows) + 1):
        before = dict(found)
        for name, row in rows.items():
            found[name] = 1 + max((found.get(each, -1) for each in _before(row) if each in rows), default=-1)
        if found == before or max(found.values(), default=0) > len(rows):
            break
    return {name: min(depth, len(rows)) for name, depth in found.items()}


def _before(row: StepRow) -> tuple[str, ...]:
    """Name the steps that a step is drawn behind: those that it waits for, or the one whose agent asked for it."""
    return row.depends_on or ((row.within,) if row.within else ())
