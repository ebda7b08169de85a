"""Which figures are taken, on which sides, how often; and how they are put together for `results/latest.json`."""

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import (
    busy,
    client,
    crash,
    crowd,
    gathering,
    long,
    processes,
    speed,
    start,
    streams,
    telemetry_cost,
    throughput,
)
from benchmarks.machine import commit
from benchmarks.sides import SideName
from benchmarks.stack import Stack, open_stack
from benchmarks.targets import MEGABYTE, RUNS

ALL = tuple(name for name in SideName if name is not SideName.SEEN)
WITHOUT_DEFAULT = (SideName.PRODUCT, SideName.BARE, SideName.PRODUCT_HTTP)
QUICK_SIDES = WITHOUT_DEFAULT
GRAPHS_TIMED = ("chain20", "fan50", "rand60")


@dataclass(frozen=True)
class Extent:
    """How much is done: repetitions, latencies, and sizes."""

    reps: int = 3
    latencies: tuple[float, ...] = (0.2, 2.0)
    runs: int = RUNS
    gather_size: int = MEGABYTE
    crash_latency: float = 0.2
    patience: float = 10.0
    telemetry: tuple[tuple[int, float, int], ...] = ((40, 0.05, 10), (20, 2.0, 4))
    """Runs at once, seconds of a call, rounds: once as fast as the machine can, and once as models answer."""
    crowd: tuple[tuple[int, float], ...] = ((300, 2.0), (1000, 0.5))
    """Plans at once, and seconds of a call."""
    streams: tuple[int, ...] = (50, 200, 400)
    """Streams at once."""
    pieces: tuple[int, float] = (client.DELTAS, client.PACE)
    """Pieces of each stream, and seconds between them."""
    stopped: tuple[int, float, float] = (20, 2.0, 8.0)
    """Plans, seconds of a call, seconds for which the worker is stopped."""
    asked: tuple[int, float] = (300, 2.0)
    """Plans at once, one of which is asked for its status now and then, and seconds of a call."""
    processes: int = 200
    """Plans at once on one worker process, and on two."""
    long: tuple[int, int] = (long.STEPS, long.TURNS)
    """Steps of a plan, and turns of a session."""
    quick: bool = False

    def reps_at(self, latency: float) -> int:
        """Fewer repetitions where one takes long and noise is small beside it."""
        return self.reps if latency < 1 else max(1, self.reps // 2)

    @property
    def few(self) -> int:
        return min(self.reps, 2)


QUICK = Extent(
    reps=1,
    latencies=(0.05,),
    runs=5,
    gather_size=50_000,
    crash_latency=0.1,
    patience=0.0,
    telemetry=((4, 0.05, 2),),
    crowd=((10, 0.05),),
    streams=(3, 20),
    pieces=(20, 0.001),
    stopped=(2, 0.3, 1.0),
    asked=(10, 0.1),
    processes=5,
    long=(60, 20),
    quick=True,
)

Figure = Callable[[Stack, Extent], Awaitable[list[dict[str, Any]]]]


def _timed(graph: str) -> Figure:
    async def take(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
        return [
            await speed.measure(
                stack, graph, latency, ALL if latency < 1 else WITHOUT_DEFAULT, extent.reps_at(latency), extent.patience
            )
            for latency in extent.latencies
        ]

    return take


async def _throughput(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await throughput.measure(stack, ALL, extent.runs, extent.few, extent.patience)]


async def _telemetry(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await telemetry_cost.measure(stack, *case) for case in extent.telemetry]


async def _crowd(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await crowd.measure(stack, *case, extent.patience) for case in extent.crowd]


async def _gather(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await gathering.measure(stack, WITHOUT_DEFAULT, extent.gather_size, extent.few)]


async def _crash(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    sides = (SideName.PRODUCT, SideName.PRODUCT_HTTP, SideName.BARE_DEFAULT)
    figures = [await crash.measure(stack, sides, extent.crash_latency, extent.few)]
    if not extent.quick:
        # Without a heartbeat time-out the baseline waits for its whole start-to-close time-out: once is enough.
        figures.append(await crash.measure(stack, sides[2:], extent.crash_latency, 1, heartbeat=0.0))
    return figures


async def _client(_stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await client.measure(extent.streams[0], *extent.pieces, extent.few)]


async def _streams(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await streams.measure(stack, count, *extent.pieces) for count in extent.streams]


async def _stopped(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await busy.stopped(stack, *extent.stopped)]


async def _asked(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await busy.asked(stack, *extent.asked)]


async def _processes(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await processes.measure(stack, extent.processes, (1, 2), extent.few)]


async def _start(stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await start.measure(stack, extent.reps)]


async def _long(_stack: Stack, extent: Extent) -> list[dict[str, Any]]:
    return [await long.measure(*extent.long)]


FIGURES: dict[str, Figure] = {
    **{graph: _timed(graph) for graph in GRAPHS_TIMED},
    "throughput": _throughput,
    "telemetry": _telemetry,
    "crowd": _crowd,
    "asked": _asked,
    "stopped": _stopped,
    "processes": _processes,
    "streams": _streams,
    "client": _client,
    "start": _start,
    "long": _long,
    "gather": _gather,
    "crash": _crash,
}
"""All figures by name; `gather` and `crash` come last, because they put fresh workers in the place of the warm ones."""

OVER_HTTP = {"crowd", "asked", "stopped", "processes", "streams", "client", "start"}
"""Figures of the product over HTTP alone."""


def _sides(names: list[str], extent: Extent) -> tuple[SideName, ...]:
    """Return those that the figures need: each is a worker that takes memory and time from the others."""
    if names == ["telemetry"]:
        return telemetry_cost.SIDES
    if set(names) <= OVER_HTTP:
        return (SideName.PRODUCT_HTTP,)
    if names == ["long"]:
        return ()
    sides = QUICK_SIDES if extent.quick else ALL
    return (*sides, SideName.SEEN) if "telemetry" in names else sides


async def take(names: list[str], extent: Extent, directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Take the named figures on one set of processes; returns them by name."""
    found: dict[str, Any] = {}
    with ExitStack() as until:
        stack = await open_stack(directory, _sides(names, extent), until)
        await speed.warm_up(list(stack.sides.values()))
        for name in FIGURES:
            if name in names:
                say(f"{name} …")
                rows = await FIGURES[name](stack, extent)
                found[name] = [row | {"at": time.strftime("%Y-%m-%d %H:%M"), "commit": commit()} for row in rows]
    return found
