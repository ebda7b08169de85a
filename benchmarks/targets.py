"""What we mean to reach, each with the figure it is read from. Times are ratios, so that they mean something elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
RUNS = 200
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Target:
    """One goal: `read` finds the figure, None if it was not taken; it is to be at most (or at least) the limit."""

    name: str
    limit: float
    read: Callable[[Figures], float | None]
    at_least: bool = False
    figure: str = ""

    def judge(self, figures: Figures) -> dict[str, Any] | None:
        """Return the measured value and whether it reaches the limit; None if it was not measured."""
        measured = self.read(figures)
        if measured is None:
            return None
        return {
            "name": self.name,
            "figure": self.figure,
            "wanted": f"{'≥' if self.at_least else '≤'} {self.limit:,g}",
            "measured": round(measured, 3),
            "reached": measured >= self.limit if self.at_least else measured <= self.limit,
        }


def _timed(graph: str, latency: float, field: str, side: str = "product") -> Callable[[Figures], float | None]:
    def read(figures: Figures) -> float | None:
        for row in figures.get(graph, ()):
            if row["latency_s"] == latency and side in row["sides"]:
                return float(row["sides"][side][field]["median"])
        return None

    return read


def _times_the_baseline(figures: Figures) -> float | None:
    for row in figures.get("throughput", ()):
        sides = row["sides"]
        if "bare_default" in sides and row["runs"] == RUNS:
            return float(sides["product"]["runs_per_s"]["median"] / sides["bare_default"]["runs_per_s"]["median"])
    return None


def _calls_of_many(figures: Figures) -> float | None:
    for row in figures.get("throughput", ()):
        return float(max(row["sides"]["product"]["calls_per_run"])) if row["runs"] == RUNS else None
    return None


def _seen(latency: float) -> Callable[[Figures], float | None]:
    def read(figures: Figures) -> float | None:
        rows = [row for row in figures.get("telemetry", ()) if row["latency_s"] == latency]
        return float(rows[0]["on_by_off"]["median"]) if rows else None

    return read


def _gather_memory(figures: Figures) -> float | None:
    for row in figures.get("gather", ()):
        product = row["sides"]["product"]
        if row["size"] != MEGABYTE:
            return None
        return float("inf") if product["error"] else float(product["worker_mb"]["max"])
    return None


def _calls_of_crowds(figures: Figures) -> float | None:
    extra = [row["calls"] / row["calls_wanted"] for row in figures.get("crowd", ())]
    return max(extra) if extra else None


def _streamed(figures: Figures) -> float | None:
    for row in figures.get("streams", ()):
        return float(row["ratio"])
    return None


def _repeated(figures: Figures) -> float | None:
    for row in figures.get("crash", ()):
        return float(max(row["sides"]["product"]["completed_steps_repeated"]))
    return None


TARGETS = (
    Target("chain of 20 at 200 ms: makespan ÷ longest path", 1.08, _timed("chain20", 0.2, "ratio"), figure="chain20"),
    Target("fan-out of 50 at 200 ms", 1.40, _timed("fan50", 0.2, "ratio"), figure="fan50"),
    Target("random graph of 60 at 200 ms", 1.15, _timed("rand60", 0.2, "ratio"), figure="rand60"),
    Target("chain of 20 at 2 s", 1.03, _timed("chain20", 2.0, "ratio"), figure="chain20"),
    Target("fan-out of 50 at 2 s", 1.03, _timed("fan50", 2.0, "ratio"), figure="fan50"),
    Target("random graph of 60 at 2 s", 1.03, _timed("rand60", 2.0, "ratio"), figure="rand60"),
    Target("200 runs at once: runs a second ÷ the baseline's", 2.0, _times_the_baseline, True, "throughput"),
    Target("200 runs at once: model calls per run of six steps", 6, _calls_of_many, figure="throughput"),
    Target("runs a second with telemetry on ÷ with it off, calls of 50 ms", 0.95, _seen(0.05), True, "telemetry"),
    Target("the same with calls of 2 s", 0.95, _seen(2.0), True, "telemetry"),
    Target("plans started at once: calls made ÷ calls asked for", 1, _calls_of_crowds, figure="crowd"),
    Target("50 streams: CPU of the model client ÷ the SDK's", 0.25, _streamed, figure="streams"),
    Target("random graph of 60: events per step", 4.2, _timed("rand60", 0.2, "events_per_step"), figure="rand60"),
    Target("random graph of 60: bytes per step", 1300, _timed("rand60", 0.2, "bytes_per_step"), figure="rand60"),
    Target("30 × 1 MB into one: MB in the worker (peak)", 170, _gather_memory, figure="gather"),
    Target("kill -9: finished steps that ran again", 0, _repeated, figure="crash"),
)
"""All in the first column (scripted model); the baseline of the runs per second is on a server with default settings."""


def judge(figures: Figures) -> list[dict[str, Any]]:
    """Judge every target whose figure was taken."""
    return [verdict for target in TARGETS if (verdict := target.judge(figures))]
