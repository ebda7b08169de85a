"""What telemetry costs: the same runs with it off and on, in turn and in many short rounds.

The machine is never the same for two minutes. So each round gives one ratio of two neighbours, the order changes from
round to round, and the median of the ratios is the figure; CPU of the worker is taken beside it, which waiting does not change.
"""

from typing import Any

from benchmarks.figures.throughput import GRAPH, SIZE, Samples, once
from benchmarks.machine import calibration_ms, spread
from benchmarks.sides import SideName
from benchmarks.stack import Stack

SIDES = (SideName.PRODUCT_HTTP, SideName.SEEN)


async def measure(stack: Stack, runs: int, latency: float, rounds: int) -> dict[str, Any]:
    """Start `runs` runs at once on each side in turn, `rounds` times after one that does not count; `latency` in seconds."""
    chosen = stack.chosen(SIDES)
    for side in chosen:
        await once(stack, side, runs, Samples(), latency)
    samples = {side.name: Samples() for side in chosen}
    for number in range(rounds):
        for side in chosen if number % 2 == 0 else reversed(chosen):
            await once(stack, side, runs, samples[side.name], latency)
    off, on = (samples[name] for name in SIDES)
    return {
        "graph": GRAPH,
        "runs": runs,
        "rounds": rounds,
        "latency_s": latency,
        "size": SIZE,
        "calibration_ms": calibration_ms(),
        "on_by_off": spread([seen / unseen for seen, unseen in zip(on.rate, off.rate, strict=True)], 3),
        "cpu_on_by_off": spread([seen / unseen for seen, unseen in zip(on.worker_cpu, off.worker_cpu, strict=True)], 3),
        "sides": {
            name.value: {
                "runs_per_s": spread(of.rate, 2),
                "worker_cpu_ms_per_run": spread(of.worker_cpu, 1),
                "failed_runs": of.failed,
                "other_cores": spread(of.others, 2),
            }
            for name, of in samples.items()
        },
    }
