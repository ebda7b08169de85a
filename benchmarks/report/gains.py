"""What a user gains, and how large a machine has to be: the page begins with it. All numbers are derived from the figures."""

from collections.abc import Mapping
from typing import Any

from benchmarks.report.tables import number, table

Row = Mapping[str, Any]
PIECES_A_SECOND = 50
"""Pieces of text that a model streams each second, as the bench has it."""


def gains(figures: Row) -> list[str]:
    """Return one line for each thing that is gained, of what was measured."""
    lines = [_history(figures), _large(figures), _recovery(figures), _exact(figures), _streams(figures)]
    return [f"- {line}" for line in lines if line]


def _row(figures: Row, name: str, **values: Any) -> Row | None:
    rows = figures.get(name) or ()
    return next((row for row in rows if all(row.get(key) == value for key, value in values.items())), None)


def _history(figures: Row) -> str:
    row = _row(figures, "rand60", latency_s=0.2) or _row(figures, "rand60")
    if not row:
        return ""
    ours, theirs = (row["sides"][name]["bytes_per_step"]["median"] for name in ("product", "bare"))
    return (
        f"**History stays small.** A step takes {number(ours)} bytes of history, with answers of 2 kB as with answers of "
        f"1 MB, because texts travel by reference; in bare Temporal the same graph takes {number(theirs)}, and more for "
        "longer answers."
    )


def _large(figures: Row) -> str:
    row = _row(figures, "gather")
    if not row or not row["sides"]["product"]["seconds"]:
        return ""
    product, bare = row["sides"]["product"], row["sides"].get("bare")
    size = 30 * row["size"] / 1e6
    failed = f"; bare Temporal cannot do it ({bare['error']})" if bare and bare["error"] else ""
    return (
        f"**Large material fits.** Thirty answers, {size:g} MB together, go into one step in "
        f"{product['seconds']['median']:g} s; the worker takes {product['worker_mb']['median']:g} MB at most{failed}."
    )


def _recovery(figures: Row) -> str:
    row = _row(figures, "crash", heartbeat_s=2.0)
    if not row:
        return ""
    product = row["sides"]["product"]
    text = (
        f"**A killed worker costs its start.** After `kill -9` in the tenth call, that call runs again "
        f"{product['rerun_s']['median']:g} s after the new worker began, the next step starts after "
        f"{product['next_step_s']['median']:g} s, and {max(product['completed_steps_repeated'])} finished steps ran again."
    )
    bare = row["sides"].get("bare_default")
    if bare:
        text += f" Bare Temporal with a heartbeat of 2 s goes on after {bare['next_step_s']['median']:g} s"
    without = _row(figures, "crash", heartbeat_s=0.0)
    if bare and without:
        text += f", without one after {without['sides']['bare_default']['next_step_s']['median']:g}"
    return text + ("." if bare else "")


def _exact(figures: Row) -> str:
    asked = made = 0
    for row in figures.get("crowd", ()):
        asked, made = asked + row["calls_wanted"], made + row["calls"]
    for row in figures.get("stopped", ()):
        asked, made = asked + row["calls_wanted"], made + row["calls"]
    for row in figures.get("streams", ()):
        asked, made = asked + row["streams"], made + row["calls"]
    if not asked:
        return ""
    begin = "Nothing is paid twice." if made == asked else "Calls under load."
    return (
        f"**{begin}** With up to 1,000 plans or 400 streams at once, or the worker stopped for seconds: {made:,} model calls for "
        f"{asked:,} that were asked for."
    )


def _streams(figures: Row) -> str:
    per_core = streams_per_core(figures)
    return f"**One core reads {per_core:,.0f} streams** of {PIECES_A_SECOND} pieces a second each." if per_core else ""


def streams_per_core(figures: Row) -> float | None:
    """Return how many streams keep one core of a worker busy, by the largest case."""
    rows = figures.get("streams")
    if not rows:
        return None
    row = max(rows, key=lambda row: row["streams"])
    return float(1e3 / (row["cpu_ms_per_1000_deltas"] * PIECES_A_SECOND / 1e3))


def sizing(figures: Row) -> str:
    """Return the sizing table, "" where nothing it is derived from was measured."""
    lines = []
    if per_core := streams_per_core(figures):
        row = max(figures["streams"], key=lambda row: row["streams"])
        lines.append(
            (
                f"streams at once, {PIECES_A_SECOND} pieces a second each",
                f"{per_core:,.0f}",
                f"{row['mb_per_stream']:g} a stream",
            )
        )
    if (row := _row(figures, "throughput")) and "product_http" in row["sides"]:
        side = row["sides"]["product_http"]
        rate = 1e3 / side["worker_cpu_ms_per_run"]["median"]
        server = 1e3 / side["server_cpu_ms_per_run"]["median"]
        lines.append(("runs of six steps a second, worker", f"{rate:.1f}", _cached(figures)))
        lines.append(("the same, Temporal's dev server", f"{server:.1f}", ""))
    if row := _row(figures, "start"):
        lines.append(("workers started a second", f"{1 / row['ready_cpu_s']['median']:.1f}", _idle(figures)))
    return table(("", "on one core", "memory of the worker, MB"), lines) if lines else ""


def _cached(figures: Row) -> str:
    rows, idle = figures.get("crowd"), _idle_mb(figures)
    if not rows or idle is None:
        return ""
    row = max(rows, key=lambda row: row["runs"])
    return f"{(row['worker_mb'] - idle) / row['runs']:.2f} a run at work"


def _idle(figures: Row) -> str:
    idle = _idle_mb(figures)
    return f"{idle:.0f} a process that is idle" if idle is not None else ""


def _idle_mb(figures: Row) -> float | None:
    return min((float(row["idle_mb"]) for row in figures.get("streams") or ()), default=None)
