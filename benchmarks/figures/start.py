"""The start: how long a worker takes to be ready, and how much CPU the commands take that people type all day."""

import asyncio
import os
import resource
import sys
import time
from typing import Any

from benchmarks.graphs import GRAPHS
from benchmarks.machine import calibration_ms, cpu_seconds, spread
from benchmarks.sides import SideName
from benchmarks.stack import Stack, own_worker
from tests.processes import stack_environment


async def measure(stack: Stack, reps: int) -> dict[str, Any]:
    """Start a worker `reps` times, and run each command as often, on a run that has ended."""
    side = stack.sides[SideName.PRODUCT_HTTP]
    assert side.api is not None
    side.expect(0, 10)
    run = await side.start(GRAPHS["plan6"], 0, 10)
    await run.result()
    ready, used = [], []
    for number in range(reps):
        started = time.perf_counter()
        with own_worker(side, f"start-{number}", side.api.url) as worker:
            ready.append(time.perf_counter() - started)
            used.append(cpu_seconds(worker.pid))
    environment = stack_environment(side.log.parent, side.address, side.api, TASK_QUEUE=side.task_queue)
    commands = {"--help": ["--help"], "list": ["list"], "status ID": ["status", run.id], "trace ID": ["trace", run.id]}
    commands["approve ID"] = ["approve", run.id, "--as", "nobody"]
    return {
        "calibration_ms": calibration_ms(),
        "ready_s": spread(ready, 2),
        "ready_cpu_s": spread(used, 2),
        "sdk_cpu_s": spread([await _cpu(["-c", "import temporalio.client"], environment) for _ in range(reps)], 2),
        "command_cpu_s": {
            name: spread([await _cpu(["starter.py", *arguments], environment) for _ in range(reps)], 2)
            for name, arguments in commands.items()
        },
    }


async def _cpu(arguments: list[str], environment: dict[str, str]) -> float:
    """Run Python and return the CPU time that it took, user and system."""
    return await asyncio.to_thread(_spent, arguments, environment)


def _spent(arguments: list[str], environment: dict[str, str]) -> float:
    with open(os.devnull, "wb") as nowhere:
        actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1), (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2)]
        pid = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment, file_actions=actions)
        _, _, usage = os.wait4(pid, 0)
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_utime + usage.ru_stime
