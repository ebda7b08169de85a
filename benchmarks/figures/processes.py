"""`worker.py --processes N`: the same runs on one worker process and on two."""

from dataclasses import replace
from typing import Any

from benchmarks.figures.throughput import GRAPH, LATENCY, SIZE, Samples, once
from benchmarks.machine import calibration_ms, spread
from benchmarks.sides import SideName
from benchmarks.stack import Stack, own_worker


async def measure(stack: Stack, runs: int, counts: tuple[int, ...], reps: int) -> dict[str, Any]:
    """Start `runs` plans of six steps at once on as many worker processes as each of `counts` says, `reps` times."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    found = {}
    for count in counts:
        queue = f"processes-{count}"
        assert side.api is not None
        with own_worker(side, queue, side.api.url, "--processes", str(count), ready=count) as worker:
            own = replace(side, worker=worker, queue=queue)
            await once(stack, own, count * 4, Samples())  # warms all of them
            samples = Samples()
            for _ in range(reps):
                await once(stack, own, runs, samples)
        found[str(count)] = {
            "runs_per_s": spread(samples.rate, 2),
            "calls": samples.calls,
            "failed_runs": samples.failed,
            "server_cpu_ms_per_run": spread(samples.server_cpu, 1),
        }
    return {
        "graph": GRAPH,
        "runs": runs,
        "latency_s": LATENCY,
        "size": SIZE,
        "calibration_ms": calibration_ms(),
        "processes": found,
    }
