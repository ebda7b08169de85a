"""What we mean to reach, each with the figure it is read from. Times are ratios where they can be, so that they mean something
elsewhere; seconds and milliseconds are meant for the machine that the page names, with nothing else running on it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
Reading = Callable[[Figures], float | None]
RUNS = 200
MEGABYTE = 1_000_000
AFTER = 200
"""Calls after which the memory of a long run is taken for the first time."""


@dataclass(frozen=True)
class Target:
    """One goal: `read` finds the figure, None if it was not taken; it is to be at most (or at least) the limit.

    The limit may be read too: what bare Temporal reached in the same run.
    """

    name: str
    limit: float | Reading
    read: Reading
    at_least: bool = False
    figure: str = ""

    def judge(self, figures: Figures) -> dict[str, Any]:
        """Return the measured value and whether it reaches the limit; None for both if it was not measured."""
        measured = self.read(figures)
        limit = self.limit(figures) if callable(self.limit) else self.limit
        sign = "≥" if self.at_least else "≤"
        bare = "bare" if callable(self.limit) else ""
        number = "" if limit is None else f"{round(limit, 3):,g}"
        wanted = f"{sign} {' '.join(filter(None, (bare, f'({number})' if bare and number else number)))}"
        judged = None
        if measured is not None and limit is not None:
            judged = measured >= limit if self.at_least else measured <= limit
        return {
            "name": self.name,
            "figure": self.figure,
            "wanted": wanted,
            "measured": None if measured is None else round(measured, 3),
            "reached": judged,
        }


def _rows(figure: str, **values: Any) -> Callable[[Figures], list[Mapping[str, Any]]]:
    """Find the rows of a figure in which each of the named fields has the given value."""

    def read(figures: Figures) -> list[Mapping[str, Any]]:
        return [row for row in figures.get(figure) or () if all(row.get(name) == each for name, each in values.items())]

    return read


def _worst(figure: str, value: Callable[[Mapping[str, Any]], float], **values: Any) -> Reading:
    """Read the largest value of all rows of a figure that have the named fields."""

    def read(figures: Figures) -> float | None:
        return max((float(value(row)) for row in _rows(figure, **values)(figures)), default=None)

    return read


def _grown(of: str, early: str, late: str) -> Callable[[Mapping[str, Any]], float]:
    """Divide what a call costs late in a long run by what it cost early."""
    return lambda row: float(row[of][late] / row[of][early])


def _timed(graph: str, latency: float, field: str, side: str = "product") -> Reading:
    """Read the median of a field for one side of a graph."""

    def read(figures: Figures) -> float | None:
        for row in _rows(graph, latency_s=latency)(figures):
            if side in row["sides"]:
                return float(row["sides"][side][field]["median"])
        return None

    return read


def _rate(of: str, against: str) -> Reading:
    """Divide the runs a second of two sides, 200 runs at once."""

    def read(figures: Figures) -> float | None:
        for row in _rows("throughput", runs=RUNS)(figures):
            sides = row["sides"]
            if of in sides and against in sides:
                return float(sides[of]["runs_per_s"]["median"] / sides[against]["runs_per_s"]["median"])
        return None

    return read


def _gather_memory(row: Mapping[str, Any]) -> float:
    product = row["sides"]["product"]
    return float("inf") if product["error"] else float(product["worker_mb"]["max"])


def _medians(spreads: Iterable[Mapping[str, float]]) -> float:
    return max(each["median"] for each in spreads)


def _often_used(row: Mapping[str, Any]) -> float:
    return _medians(spread for name, spread in row["command_cpu_s"].items() if name != "--help")


TARGETS = (
    Target(
        "50, 200, 400 streams at once: calls made ÷ asked for",
        1,
        _worst("streams", lambda row: row["calls"] / row["streams"]),
        figure="streams",
    ),
    Target(
        "300 and 1,000 plans at once: calls made ÷ asked for",
        1,
        _worst("crowd", lambda row: row["calls"] / row["calls_wanted"]),
        figure="crowd",
    ),
    Target(
        "300 and 1,000 plans at once: runs that failed",
        0,
        _worst("crowd", lambda row: row["failed_runs"]),
        figure="crowd",
    ),
    Target(
        "20 plans, worker stopped for 8 s: calls for 120",
        120,
        _worst("stopped", lambda row: row["calls"], runs=20),
        figure="stopped",
    ),
    Target(
        "200 streams of 8 s at once: seconds for all",
        12.5,
        _worst("streams", lambda row: row["wall_s"], streams=200),
        figure="streams",
    ),
    Target(
        "50 streams: worker CPU per 1,000 pieces, ms",
        90,
        _worst("streams", lambda row: row["cpu_ms_per_1000_deltas"], streams=50),
        figure="streams",
    ),
    Target(
        "50 streams: CPU of the model client ÷ the SDK's",
        0.25,
        _worst("client", lambda row: row["ratio"]),
        figure="client",
    ),
    Target(
        "200 runs at once over HTTP: model calls per run of six steps",
        6,
        _worst("throughput", lambda row: max(row["sides"]["product_http"]["calls_per_run"]), runs=RUNS),
        figure="throughput",
    ),
    Target(
        "200 runs at once over HTTP: runs that failed",
        0,
        _worst("throughput", lambda row: max(row["sides"]["product_http"]["failed_runs"]), runs=RUNS),
        figure="throughput",
    ),
    Target(
        "200 runs at once: runs a second ÷ bare Temporal's on the same server",
        1.0,
        _rate("product", "bare"),
        True,
        "throughput",
    ),
    Target(
        "200 runs at once: runs a second ÷ bare Temporal's on a default server",
        2.0,
        _rate("product", "bare_default"),
        True,
        "throughput",
    ),
    Target(
        "status of one of 300 runs at work: part answered within 2 s",
        0.9,
        _worst("asked", lambda row: row["in_time"], runs=300),
        True,
        "asked",
    ),
    Target(
        "random graph of 60: worker CPU a step, ms",
        5.5,
        _timed("rand60", 0.2, "worker_cpu_ms_per_step"),
        figure="rand60",
    ),
    Target(
        "fan-out of 50 at 200 ms: makespan ÷ longest path",
        _timed("fan50", 0.2, "ratio", "bare"),
        _timed("fan50", 0.2, "ratio"),
        figure="fan50",
    ),
    Target(
        "fan-out of 50 at 200 ms, over HTTP",
        _timed("fan50", 0.2, "ratio", "bare_http"),
        _timed("fan50", 0.2, "ratio", "product_http"),
        figure="fan50",
    ),
    Target("random graph of 60 at 200 ms", 1.20, _timed("rand60", 0.2, "ratio"), figure="rand60"),
    Target("chain of 20 at 200 ms", 1.10, _timed("chain20", 0.2, "ratio"), figure="chain20"),
    Target("fan-out of 50 at 2 s", 1.04, _timed("fan50", 2.0, "ratio"), figure="fan50"),
    Target("random graph of 60 at 2 s", 1.03, _timed("rand60", 2.0, "ratio"), figure="rand60"),
    Target("chain of 20 at 2 s", 1.03, _timed("chain20", 2.0, "ratio"), figure="chain20"),
    Target("random graph of 60: events per step", 4.2, _timed("rand60", 0.2, "events_per_step"), figure="rand60"),
    Target("random graph of 60: bytes per step", 1300, _timed("rand60", 0.2, "bytes_per_step"), figure="rand60"),
    Target(
        "30 × 1 MB into one: MB in the worker (peak)",
        180,
        _worst("gather", _gather_memory, size=MEGABYTE),
        figure="gather",
    ),
    Target(
        "kill -9: seconds until the killed step runs again",
        1.5,
        _worst("crash", lambda row: row["sides"]["product"]["rerun_s"]["median"], heartbeat_s=2.0),
        figure="crash",
    ),
    Target(
        "kill -9: seconds until the next step starts",
        2.0,
        _worst("crash", lambda row: row["sides"]["product"]["next_step_s"]["median"], heartbeat_s=2.0),
        figure="crash",
    ),
    Target(
        "kill -9: finished steps that ran again",
        0,
        _worst("crash", lambda row: max(row["sides"]["product"]["completed_steps_repeated"]), heartbeat_s=2.0),
        figure="crash",
    ),
    Target(
        "worker ready after its start, s", 1.0, _worst("start", lambda row: row["ready_s"]["median"]), figure="start"
    ),
    Target("CPU of status, list, trace, approve: the most, s", 0.35, _worst("start", _often_used), figure="start"),
    *(
        Target(f"{name}: {what}", limit, _worst("long", _grown(of, early, late), steps=5000, turns=2000), figure="long")
        for of, name in (("plan", "plan of 5,000 steps"), ("session", "session of 2,000 turns"))
        for what, early, late, limit in (
            ("worker CPU a call, late ÷ early", "cpu_ms_early", "cpu_ms_late", 1.2),
            ("bytes of history a call, late ÷ early", "bytes_early", "bytes_late", 1.2),
            (f"memory of the worker, at the end ÷ after {AFTER} calls", "mb_first", "mb_end", 1.3),
        )
    ),
    Target(
        "runs a second with telemetry on ÷ with it off, calls of 50 ms",
        0.95,
        _worst("telemetry", lambda row: row["on_by_off"]["median"], latency_s=0.05),
        True,
        "telemetry",
    ),
    Target(
        "runs a second with telemetry on ÷ with it off, calls of 2 s",
        0.95,
        _worst("telemetry", lambda row: row["on_by_off"]["median"], latency_s=2.0),
        True,
        "telemetry",
    ),
)
"""In the first column (scripted model) unless HTTP is named."""


def judge(figures: Figures) -> list[dict[str, Any]]:
    """Judge every target, those that were not measured too."""
    return [target.judge(figures) for target in TARGETS]
