"""Large texts: thirty answers of one megabyte into one step, on a fresh worker."""

import time
from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowFailureError

from benchmarks.graphs import GRAPHS
from benchmarks.history import read_history
from benchmarks.machine import Load, calibration_ms, peak_memory_mb, spread
from benchmarks.sides import Side, SideName
from benchmarks.stack import Stack

GRAPH = "fan30"
LATENCY = 0.01
LIMIT = 25.0
"""Seconds after which a run that does not end counts as stuck; a whole run takes a second or a few."""


async def measure(stack: Stack, sides: Sequence[SideName], size: int, reps: int) -> dict[str, Any]:
    """Gather thirty answers of `size` bytes on each side, `reps` times; a side that failed once is not asked again."""
    results = {}
    for side in stack.chosen(sides):
        results[side.name.value] = await _side(stack, side, size, reps)
    return {
        "graph": GRAPH,
        "size": size,
        "latency_s": LATENCY,
        "calibration_ms": calibration_ms(),
        "sides": results,
    }


async def _side(stack: Stack, side: Side, size: int, reps: int) -> dict[str, Any]:
    seconds: list[float] = []
    memory: list[float] = []
    idle: list[float] = []
    calls: list[int] = []
    others: list[float] = []
    history_bytes: list[int] = []
    error = ""
    for _ in range(reps):
        side.renew_worker()
        side.expect(LATENCY, size)
        idle.append(peak_memory_mb(side.worker.pid))
        load = Load(stack.pids)
        started = time.perf_counter()
        handle = await side.start(GRAPHS[GRAPH], LATENCY, size, limit=LIMIT)
        try:
            await handle.result()
            seconds.append(time.perf_counter() - started)
        except WorkflowFailureError as failure:
            error = f"{type(failure.cause).__name__}: {failure.cause}"[:200]
        memory.append(peak_memory_mb(side.worker.pid))
        others.append(load.others())
        calls.append(len(side.calls()))
        history_bytes.append((await read_history(handle, len(GRAPHS[GRAPH]), LATENCY))["bytes"])
        if error:
            break
    return {
        "completed": f"{len(seconds)} of {len(memory)}",
        "error": error,
        "seconds": spread(seconds, 2) if seconds else None,
        "worker_mb": spread(memory, 1),
        "idle_worker_mb": spread(idle, 1),
        "calls": calls,
        "history_bytes": spread(history_bytes, 0),
        "other_cores": spread(others, 2),
    }
