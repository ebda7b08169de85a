"""A crash: `kill -9` of the worker in the tenth call of a chain of twenty, and a new worker at once."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.graphs import GRAPHS, Call
from benchmarks.machine import Load, calibration_ms, spread
from benchmarks.sides import Side, SideName
from benchmarks.stack import Stack

GRAPH = "chain20"
KILLED_CALL = 10
SIZE = 2048
POLL = 0.01
DEADLINE = 120.0


@dataclass(frozen=True)
class Attempt:
    """One crash: seconds from the restart, and which calls were made."""

    ready: float
    rerun: float
    following: float
    total: float
    calls: int
    repeated: int


async def measure(
    stack: Stack, sides: Sequence[SideName], latency: float, reps: int, *, heartbeat: float = 2.0
) -> dict[str, Any]:
    """Crash each side `reps` times; the baseline gets a heartbeat time-out too, without which it waits for 60 s."""
    results = {}
    for side in stack.chosen(sides):
        load = Load(stack.pids)
        attempts = [await _crash(side, latency, heartbeat) for _ in range(reps)]
        results[side.name.value] = {
            "ready_s": spread([attempt.ready for attempt in attempts], 2),
            "rerun_s": spread([attempt.rerun for attempt in attempts], 2),
            "next_step_s": spread([attempt.following for attempt in attempts], 2),
            "total_s": spread([attempt.total for attempt in attempts], 2),
            "calls": [attempt.calls for attempt in attempts],
            "completed_steps_repeated": [attempt.repeated for attempt in attempts],
            "other_cores": load.others(),
        }
    return {
        "graph": GRAPH,
        "latency_s": latency,
        "steps": len(GRAPHS[GRAPH]),
        "heartbeat_s": heartbeat,
        "calibration_ms": calibration_ms(),
        "sides": results,
    }


async def _crash(side: Side, latency: float, heartbeat: float) -> Attempt:
    side.expect(latency, SIZE)
    started = time.time()
    handle = await side.start(GRAPHS[GRAPH], latency, SIZE, heartbeat=heartbeat)
    while len(side.calls()) < KILLED_CALL:  # noqa: ASYNC110 (the calls are another process's)
        await asyncio.sleep(POLL)
    await asyncio.sleep(latency / 2)
    side.worker.kill()
    before = side.calls()
    restarted = time.time()
    side.begin_worker()
    await asyncio.to_thread(side.await_worker)
    ready = time.time() - restarted
    await asyncio.wait_for(handle.result(), DEADLINE)
    ended = time.time()
    return _judge(before, side.calls(), restarted, ready, ended - started)


def _judge(before: Sequence[Call], calls: Sequence[Call], restarted: float, ready: float, total: float) -> Attempt:
    finished = {call.step for call in before if call.ended is not None}
    killed = before[-1].step
    after = [call for call in calls if call.started > restarted]
    return Attempt(
        ready=ready,
        rerun=min(call.started for call in after if call.step == killed) - restarted,
        following=min(call.started for call in after if call.step != killed) - restarted,
        total=total,
        calls=len(calls),
        repeated=sum(call.step in finished for call in after),
    )
