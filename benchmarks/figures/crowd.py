"""A crowd: a thousand plans started at once on one worker, their model over HTTP; every one completes, no call is made twice."""

from typing import Any

from benchmarks.figures.throughput import GRAPH, SIZE, Samples, once
from benchmarks.graphs import GRAPHS
from benchmarks.machine import calibration_ms, peak_memory_mb, wait_for_quiet
from benchmarks.sides import SideName
from benchmarks.stack import Stack


async def measure(stack: Stack, runs: int, latency: float, patience: float) -> dict[str, Any]:
    """Start `runs` plans of six steps at once, whose calls take `latency` seconds, and count."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    samples = Samples()
    wait_for_quiet(stack.pids, patience=patience)
    await once(stack, side, runs, samples, latency)
    wanted = runs * len(GRAPHS[GRAPH])
    return {
        "graph": GRAPH,
        "runs": runs,
        "latency_s": latency,
        "size": SIZE,
        "calibration_ms": calibration_ms(),
        "calls": samples.calls[0],
        "calls_wanted": wanted,
        "failed_runs": samples.failed[0],
        "error": samples.errors[0] if samples.errors else "",
        "runs_per_s": round(samples.rate[0], 2),
        "median_run_s": round(samples.median_run[0], 1),
        "worker_mb": peak_memory_mb(side.worker.pid),
        "other_cores": round(samples.others[0], 2),
    }
