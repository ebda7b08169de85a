"""Streams through a whole worker: plans whose steps all stream at once, from an API that streams as a model does and counts."""

import asyncio
import time
from typing import Any

from temporalio.client import Client

from benchmarks.machine import Load, calibration_ms, cpu_seconds, memory_mb, peak_memory_mb, reset_peak_memory
from benchmarks.sides import AGENT, SideName
from benchmarks.stack import Stack, own_worker
from benchmarks.stream_server import stream_server
from outlast.contracts import Plan, PlanRequest, PlanStep
from workflows.plan_and_execute import PlanAndExecuteWorkflow

STEPS = 10
"""Steps of each plan, none of which waits for another."""


async def measure(stack: Stack, streams: int, deltas: int, pace: float) -> dict[str, Any]:
    """Let a fresh worker run plans with `streams` steps at once, each answered in `deltas` pieces, one every `pace` seconds."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    queue = f"streams-{streams}"
    with (
        stream_server(side.log.parent, deltas, pace) as api,
        own_worker(side, queue, api.url, "--max-activities", str(streams)) as worker,
    ):
        await _run(side.client, queue, 1)  # imports and opens what is imported and opened once
        before, idle = api.calls()["begun"], memory_mb(worker.pid)
        reset_peak_memory(worker.pid)
        load, cpu, started = Load([*stack.pids, worker.pid, api.pid]), cpu_seconds(worker.pid), time.perf_counter()
        await asyncio.gather(*(_run(side.client, queue, min(STEPS, streams)) for _ in range(max(1, streams // STEPS))))
        seconds, used = time.perf_counter() - started, cpu_seconds(worker.pid) - cpu
        return {
            "streams": streams,
            "deltas": deltas,
            "pace_s": pace,
            "calibration_ms": calibration_ms(),
            "calls": api.calls()["begun"] - before,
            "wall_s": round(seconds, 2),
            "own_s": round(deltas * pace, 2),
            "cpu_ms_per_1000_deltas": round(used * 1e6 / (streams * deltas), 1),
            "worker_cores": round(used / seconds, 3),
            "idle_mb": idle,
            "mb_per_stream": round((peak_memory_mb(worker.pid) - idle) / streams, 3),
            "other_cores": load.others(),
        }


async def _run(client: Client, queue: str, steps: int) -> None:
    plan = Plan(steps=tuple(PlanStep(step=number, agent=AGENT, input=f"Part {number}.") for number in range(steps)))
    request = PlanRequest(plan=plan, max_parallel=steps)
    await client.execute_workflow(PlanAndExecuteWorkflow.run, request, id=f"{queue}-{time.time_ns()}", task_queue=queue)
