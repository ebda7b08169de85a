"""Throughput: many small runs at once, started by one client, on one worker."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowFailureError

from benchmarks.graphs import GRAPHS
from benchmarks.machine import Load, calibration_ms, cpu_seconds, peak_memory_mb, spread, wait_for_quiet
from benchmarks.sides import Side, SideName
from benchmarks.stack import Stack

GRAPH = "plan6"
LATENCY = 0.05
SIZE = 2048


@dataclass
class Samples:
    """What the repetitions of one side gave."""

    rate: list[float] = field(default_factory=list)
    median_run: list[float] = field(default_factory=list)
    worker_cpu: list[float] = field(default_factory=list)
    server_cpu: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def measure(stack: Stack, sides: Sequence[SideName], runs: int, reps: int, patience: float) -> dict[str, Any]:
    """Start `runs` runs at once on each side in turn, `reps` times."""
    chosen = stack.chosen(sides)
    samples = {side.name: Samples() for side in chosen}
    for repetition in range(reps):
        for side in chosen if repetition % 2 == 0 else reversed(chosen):
            wait_for_quiet(stack.pids, patience=patience)
            await once(stack, side, runs, samples[side.name])
    return {
        "graph": GRAPH,
        "runs": runs,
        "latency_s": LATENCY,
        "size": SIZE,
        "calibration_ms": calibration_ms(),
        "sides": {side.name.value: _summary(samples[side.name], side, runs) for side in chosen},
    }


async def once(stack: Stack, side: Side, runs: int, samples: Samples, latency: float = LATENCY) -> None:
    """Start `runs` runs at once on one side, whose calls take `latency` seconds; add what they took to the samples."""
    side.expect(latency, SIZE)
    load = Load(stack.pids)
    worker, server = cpu_seconds(side.worker.pid), cpu_seconds(side.server.pid)
    started = time.perf_counter()
    ended = await asyncio.gather(*(_run(side, latency) for _ in range(runs)))
    seconds = [length for length in ended if not isinstance(length, str)]
    samples.rate.append(len(seconds) / (time.perf_counter() - started))
    samples.median_run.append(statistics.median(seconds or [0.0]))
    samples.failed.append(runs - len(seconds))
    samples.errors += [error for error in ended if isinstance(error, str)]
    samples.worker_cpu.append((cpu_seconds(side.worker.pid) - worker) / runs * 1e3)
    samples.server_cpu.append((cpu_seconds(side.server.pid) - server) / runs * 1e3)
    samples.others.append(load.others())
    samples.calls.append(len(side.calls()))


async def _run(side: Side, latency: float) -> float | str:
    """Return how long a run took, or why it failed."""
    started = time.perf_counter()
    handle = await side.start(GRAPHS[GRAPH], latency, SIZE)
    try:
        await handle.result()
    except WorkflowFailureError as failure:
        return str(failure.cause)[:300]
    return time.perf_counter() - started


def _summary(samples: Samples, side: Side, runs: int) -> dict[str, Any]:
    return {
        "runs_per_s": spread(samples.rate, 2),
        "median_run_s": spread(samples.median_run, 2),
        "worker_cpu_ms_per_run": spread(samples.worker_cpu, 1),
        "server_cpu_ms_per_run": spread(samples.server_cpu, 1),
        "calls_per_run": [round(calls / runs, 2) for calls in samples.calls],
        "failed_runs": samples.failed,
        "error": samples.errors[0] if samples.errors else "",
        "worker_mb": peak_memory_mb(side.worker.pid),
        "other_cores": spread(samples.others, 2),
    }
