"""A slow worker is not a dead one: it is stopped for a while, or asked while it works on hundreds of runs."""

import asyncio
import random
import signal
import statistics
import time
from datetime import timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from benchmarks.graphs import GRAPHS
from benchmarks.machine import Load, calibration_ms
from benchmarks.sides import Side, SideName
from benchmarks.stack import Stack
from outlast.contracts import RunStatus

GRAPH = "plan6"
SIZE = 2048
IN_TIME = 2.0
"""Seconds in which somebody who asks for the status of a run should have it."""
LONGEST = timedelta(seconds=15)
ASKED_EVERY = 0.25


async def stopped(stack: Stack, runs: int, latency: float, seconds: float) -> dict[str, Any]:
    """Stop the worker (SIGSTOP) for `seconds` while `runs` plans of six steps wait for calls that take `latency` seconds."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    side.expect(latency, SIZE)
    handles = [await side.start(GRAPHS[GRAPH], latency, SIZE) for _ in range(runs)]
    while len(side.calls()) < runs:  # noqa: ASYNC110 (the calls are another process's)
        await asyncio.sleep(0.02)
    side.worker.send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    side.worker.send(signal.SIGCONT)
    ended = await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    return {
        "runs": runs,
        "latency_s": latency,
        "stopped_s": seconds,
        "calibration_ms": calibration_ms(),
        "calls": len(side.calls()),
        "calls_wanted": runs * len(GRAPHS[GRAPH]),
        "failed_runs": sum(isinstance(each, BaseException) for each in ended),
    }


async def asked(stack: Stack, runs: int, latency: float) -> dict[str, Any]:
    """Ask one of `runs` plans for its status every quarter of a second while the worker is at work on all of them."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    side.expect(latency, SIZE)
    load = Load(stack.pids)
    handles = await asyncio.gather(*(side.start(GRAPHS[GRAPH], latency, SIZE) for _ in range(runs)))
    working = asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    asking = [asyncio.create_task(_ask(side, random.choice(handles)))]
    while not (await asyncio.wait([working], timeout=ASKED_EVERY))[0]:
        asking.append(asyncio.create_task(_ask(side, random.choice(handles))))
    waits = await asyncio.gather(*asking)
    answered = sorted(wait for wait in waits if wait is not None)
    return {
        "runs": runs,
        "latency_s": latency,
        "calibration_ms": calibration_ms(),
        "asked": len(waits),
        "answered": len(answered),
        "in_time": round(sum(wait <= IN_TIME for wait in answered) / len(waits), 3),
        "median_s": round(statistics.median(answered or [LONGEST.total_seconds()]), 2),
        "longest_s": round(max(answered, default=LONGEST.total_seconds()), 2),
        "other_cores": load.others(),
    }


async def _ask(side: Side, handle: WorkflowHandle[Any, Any]) -> float | None:
    """Return how long the answer took, None if none came."""
    started = time.perf_counter()
    found = side.client.get_workflow_handle(handle.id)
    try:
        await found.query("status", result_type=RunStatus, rpc_timeout=LONGEST)
    except RPCError:
        return None
    return time.perf_counter() - started
