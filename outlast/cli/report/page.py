"""Renders a report as one HTML page without scripts and without anything from the network.

Every text may come from a model. Jinja escapes all of them, and no text is ever marked as safe.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment

from outlast.cli.printing import counted, page_environment
from outlast.cli.rendering import below_lines, dollars, in_tree, places_shown, seconds
from outlast.cli.report.figures import Report
from outlast.cli.report.graph import HEIGHT, WIDTH, drawing
from outlast.cli.report.times import Spent, Stretch
from outlast.contracts import SUMMARY_LENGTH, StepRow

TEMPLATES = Path(__file__).parent
DRAWN = 200
"""Most steps that are drawn as a graph; more would be a wall of boxes."""
BARS = 50
"""Most bars of one step."""
ROWS = 1_000
"""Most rows of each table of a report, and bars of the run itself; of the steps those that are done are left out first."""


def html(report: Report, now: datetime) -> str:
    """Return the whole page."""
    rows = list(report.rows.values())
    shown = [rows[place] for place in places_shown([row.state for row in rows], ROWS)]
    below = report.queried.status.below if report.queried else ()
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            queried=report.queried,
            now=now,
            lanes=_lanes(report, shown),
            loose=[bar(report, piece) for piece in report.pieces if piece.step not in report.rows][:ROWS],
            graph=drawing(report.rows) if drawable(report.rows) else None,
            tree=in_tree(shown),
            asks=any(row.within for row in rows) and not any(row.depends_on for row in rows),
            below=[line for one in below for line in below_lines(one)],
            ROWS=ROWS,
            cut=SUMMARY_LENGTH,
            times=shares_of_time(report),
        )
    )


def drawable(rows: Mapping[str, StepRow]) -> bool:
    """Whether the steps are drawn as a graph: they depend on each other, and are not too many."""
    return len(rows) <= DRAWN and any(row.depends_on or row.within for row in rows.values())


def compared(one: Report, other: Report, now: datetime, steps: Sequence[Any] = ()) -> str:
    """Return a page that holds two runs side by side; `steps` are pairs of a step in both, as `diff` reads them."""
    rows = comparison(one, other)
    if steps:
        rows = [each for each in rows if not each[0].startswith("step ")]
    return _environment().get_template("compare.html").render(reports=(one, other), rows=rows, now=now, steps=steps)


def comparison(one: Report, other: Report) -> list[tuple[str, str, str, str]]:
    """List what can be compared: name, the first run's, the second's, and the difference where there is one in numbers."""
    rows = [
        ("pattern", one.pattern, other.pattern, ""),
        ("state", one.state, other.state, ""),
        _numbers("took", one.seconds, other.seconds, seconds),
        _numbers("steps", len(one.rows), len(other.rows), lambda count: f"{count:g}"),
        _numbers("model calls", one.spend.calls, other.spend.calls, lambda count: f"{count:g}"),
        _numbers("input tokens", one.spend.input_tokens, other.spend.input_tokens, lambda count: f"{count:,.0f}"),
        _numbers("output tokens", one.spend.output_tokens, other.spend.output_tokens, lambda count: f"{count:,.0f}"),
        _dollars(one, other),
    ]
    rows += [
        _numbers(f"time: {spent}", one.times.get(spent, 0), other.times.get(spent, 0), seconds)
        for spent in Spent
        if spent in one.times or spent in other.times
    ]
    rows += [
        (f"step {step}", _ended(one, step), _ended(other, step), "") for step in dict.fromkeys((*one.rows, *other.rows))
    ]
    rows.append(
        _numbers("things that went wrong", len(one.suspicions), len(other.suspicions), lambda count: f"{count:g}")
    )
    return rows


def _numbers(name: str, one: float, other: float, written: Any) -> tuple[str, str, str, str]:
    difference = other - one
    sign = "+" if difference > 0 else "−"
    change = f"{sign}{written(abs(difference))}" if difference else "="
    return (name, written(one), written(other), change)


def _dollars(one: Report, other: Report) -> tuple[str, str, str, str]:
    name, _, _, change = _numbers("USD", one.spend.usd, other.spend.usd, lambda usd: f"${usd:.6f}")
    shown = dollars(one.spend, 6), dollars(other.spend, 6)
    return (name, *shown, "" if "no price" in shown else change)


def _ended(report: Report, step: str) -> str:
    row = report.rows.get(step)
    if row is None:
        return "–"
    took = f" · {seconds((row.ended - row.started).total_seconds())}" if row.started and row.ended else ""
    return f"{row.state} · {row.agent}{took}"


def _lanes(report: Report, shown: Sequence[StepRow]) -> list[dict[str, Any]]:
    """Return the lines of the time chart: a step each, and its bars."""
    bars: dict[str, list[dict[str, Any]]] = {}
    for piece in report.pieces:
        bars.setdefault(piece.step, []).append(bar(report, piece))
    path = set(report.path)
    return [{"row": row, "critical": row.step in path, "bars": bars.get(row.step, [])[:BARS]} for row in shown]


def bar(report: Report, piece: Stretch) -> dict[str, Any]:
    """Return one bar: where it begins and how wide it is, in percent of the run."""
    left = max((piece.began - report.began).total_seconds(), 0.0) / report.seconds * 100
    width = piece.seconds / report.seconds * 100
    return {
        "left": f"{min(left, 99.8):.3f}",
        "width": f"{max(min(width, 100 - left), 0.2):.3f}",
        "kind": piece.spent.name.lower(),
        "title": f"{piece.spent} {seconds(piece.seconds)}: {piece.text}",
    }


def shares_of_time(report: Report) -> list[dict[str, Any]]:
    """Return how the time added up is shared."""
    total = sum(report.times.values()) or 1.0
    return [
        {"kind": spent.name.lower(), "name": str(spent), "seconds": took, "percent": f"{took / total * 100:.1f}"}
        for spent, took in report.times.items()
    ]


def _environment() -> Environment:
    made = page_environment(TEMPLATES)
    made.filters |= {
        "seconds": seconds,
        "dollars": dollars,
        "counted": counted,
    }
    made.globals |= {"WIDTH": WIDTH, "HEIGHT": HEIGHT}
    return made
