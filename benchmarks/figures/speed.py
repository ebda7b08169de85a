"""Speed of one run: its makespan divided by the time that the longest path of model calls alone takes."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.graphs import GRAPHS, longest_path
from benchmarks.history import merge_legs, read_history
from benchmarks.machine import Load, calibration_ms, cpu_seconds, peak_memory_mb, spread, wait_for_quiet
from benchmarks.sides import Side, SideName
from benchmarks.stack import Stack

SIZE = 2048
WARM_UPS = 2


@dataclass
class Samples:
    """What the repetitions of one side gave."""

    seconds: list[float] = field(default_factory=list)
    worker_cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    histories: list[dict[str, Any]] = field(default_factory=list)


async def warm_up(sides: Sequence[Side]) -> None:
    """Let every side run a few small graphs."""
    for side in sides:
        side.expect(0, SIZE)
        for _ in range(WARM_UPS):
            handle = await side.start(GRAPHS["plan6"], 0, SIZE)
            await handle.result()


async def measure(
    stack: Stack, graph: str, latency: float, sides: Sequence[SideName], reps: int, patience: float
) -> dict[str, Any]:
    """Run one graph on all sides in turn, `reps` times; `patience` (seconds) bounds each wait for a quiet machine."""
    chosen = stack.chosen(sides)
    samples = {side.name: Samples() for side in chosen}
    for repetition in range(reps):
        # Turn about, so that no side always runs in the wake of the same other.
        for side in chosen if repetition % 2 == 0 else reversed(chosen):
            wait_for_quiet(stack.pids, patience=patience)
            await _once(stack, side, graph, latency, samples[side.name])
    steps, ideal = len(GRAPHS[graph]), longest_path(GRAPHS[graph]) * latency
    return {
        "graph": graph,
        "latency_s": latency,
        "steps": steps,
        "ideal_s": ideal,
        "size": SIZE,
        "calibration_ms": calibration_ms(),
        "sides": {
            side.name.value: _summary(samples[side.name], ideal, steps) | {"worker_mb": peak_memory_mb(side.worker.pid)}
            for side in chosen
        },
    }


async def _once(stack: Stack, side: Side, graph: str, latency: float, samples: Samples) -> None:
    side.expect(latency, SIZE)
    load = Load(stack.pids)
    worker, server = cpu_seconds(side.worker.pid), cpu_seconds(side.server.pid)
    started = time.perf_counter()
    handle = await side.start(GRAPHS[graph], latency, SIZE)
    await handle.result()
    samples.seconds.append(time.perf_counter() - started)
    samples.worker_cpu.append(cpu_seconds(side.worker.pid) - worker)
    samples.server_cpu.append(cpu_seconds(side.server.pid) - server)
    samples.others.append(load.others())
    samples.calls.append(len(side.calls()))
    samples.histories.append(await read_history(handle, len(GRAPHS[graph]), latency))


def _summary(samples: Samples, ideal: float, steps: int) -> dict[str, Any]:
    histories = samples.histories
    return {
        "ratio": spread([seconds / ideal for seconds in samples.seconds]),
        "events_per_step": spread([history["events_per_step"] for history in histories], 2),
        "bytes_per_step": spread([history["bytes_per_step"] for history in histories], 0),
        "workflow_tasks": spread([history["workflow_tasks"] for history in histories], 0),
        "calls": samples.calls,
        "worker_cpu_ms_per_step": spread([seconds / steps * 1e3 for seconds in samples.worker_cpu], 1),
        "server_cpu_ms_per_step": spread([seconds / steps * 1e3 for seconds in samples.server_cpu], 1),
        "legs_ms": merge_legs([history["legs_ms"] for history in histories]),
        "other_cores": spread(samples.others, 2),
    }
