"""The baseline: the same graph as anyone writes it on Temporal. One workflow, one activity a step, outputs as plain values.

No part of the product is in it, so what the product costs or saves is the difference.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TypedDict

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from benchmarks.bare.steps import BareSteps, StepInput
    from benchmarks.graphs import Work


@dataclass
class RunInput:
    """A graph whose steps take `latency` seconds and answer `size` bytes; `heartbeat` in seconds, 0 for none."""

    dag: dict[str, list[str]]
    latency: float
    size: int
    heartbeat: float = 0.0


class _Options(TypedDict, total=False):
    start_to_close_timeout: timedelta
    heartbeat_timeout: timedelta


@workflow.defn
class BareDag:
    """Runs a graph; a step starts when its dependencies are done."""

    @workflow.run
    async def run(self, request: RunInput) -> int:
        """Return the number of bytes that all steps gave."""
        options = _Options(start_to_close_timeout=timedelta(seconds=60))
        if request.heartbeat:
            options["heartbeat_timeout"] = timedelta(seconds=request.heartbeat)
        tasks: dict[str, asyncio.Task[str]] = {}
        run = workflow.info().workflow_id

        async def execute(step: str, dependencies: list[str]) -> str:
            outputs = [await tasks[dependency] for dependency in dependencies]
            instruction = Work(step, run, request.latency, request.size).instruction
            work = StepInput(prompt="\n\n".join([instruction, *outputs]))
            return await workflow.execute_activity_method(BareSteps.answer, work, **options)

        for step, dependencies in request.dag.items():
            tasks[step] = asyncio.create_task(execute(step, dependencies))
        return sum(map(len, await asyncio.gather(*tasks.values())))
