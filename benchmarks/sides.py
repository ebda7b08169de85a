"""One side of the comparison: how its runs are started, and which model calls it made."""

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from benchmarks.bare.workflow import BareDag, RunInput
from benchmarks.graphs import Call, Dag, Work, read_calls
from outlast.contracts import Plan, PlanRequest, PlanStep
from tests.processes import MessagesApi
from tests.real_process import RealProcess
from workflows.plan_and_execute import PlanAndExecuteWorkflow

MAX_PARALLEL = 64
AGENT = "writer"


class SideName(StrEnum):
    """Who does the work, and where its model is."""

    PRODUCT = "product"
    BARE = "bare"
    BARE_DEFAULT = "bare_default"
    PRODUCT_HTTP = "product_http"
    BARE_HTTP = "bare_http"
    SEEN = "product_seen"

    @property
    def is_product(self) -> bool:
        return self in (SideName.PRODUCT, SideName.PRODUCT_HTTP, SideName.SEEN)

    @property
    def over_http(self) -> bool:
        return self in (SideName.PRODUCT_HTTP, SideName.BARE_HTTP, SideName.SEEN)


@dataclass
class Side:
    """One worker with the server it works for and the model it asks."""

    name: SideName
    client: Client
    server: RealProcess
    worker: RealProcess
    log: Path
    api: MessagesApi | None = None
    sink: RealProcess | None = None
    queue: str = ""

    @property
    def task_queue(self) -> str:
        """Where its worker works."""
        return self.queue or self.name.value

    @property
    def address(self) -> str:
        """The address of its server."""
        return self.client.service_client.config.target_host

    async def start(
        self, dag: Dag, latency: float, size: int, *, heartbeat: float = 0.0, limit: float | None = None
    ) -> WorkflowHandle[Any, Any]:
        """Start a run of the graph; `heartbeat` is for the baseline (the product has its own), `limit` in seconds."""
        run = uuid4().hex[:8]
        options: dict[str, Any] = {"id": run, "task_queue": self.task_queue}
        if limit is not None:
            options["execution_timeout"] = timedelta(seconds=limit)
        if not self.name.is_product:
            bare = RunInput({step: list(needed) for step, needed in dag.items()}, latency, size, heartbeat)
            return await self.client.start_workflow(BareDag.run, bare, **options)
        steps = [
            PlanStep(
                step=step,
                agent=AGENT,
                input=Work(step, run, latency, size).instruction,
                depends_on=tuple(needed),
            )
            for step, needed in dag.items()
        ]
        # What `starter.py plan --plan FILE --max-parallel 64` starts.
        request = PlanRequest(plan=Plan(steps=tuple(steps)), max_parallel=MAX_PARALLEL)
        return await self.client.start_workflow(
            PlanAndExecuteWorkflow.run, request, static_summary=f"own plan {run}.json", **options
        )

    def expect(self, latency: float, size: int) -> None:
        """Forget all calls, and set how the Messages API answers from now on."""
        if self.api:
            self.api.reset()
            self.api.script(latency=latency, size=size)
        elif self.log.exists():
            os.truncate(self.log, 0)

    def calls(self) -> list[Call]:
        """Return the model calls since the last `expect`, oldest first."""
        if not self.api:
            return read_calls(self.log)
        return [
            Call(Work.read(hit["user"]).step, hit["started"], hit["ended"] if hit["outcome"] == "answered" else None)
            for hit in self.api.hits()
        ]

    def begin_worker(self) -> None:
        """Start the worker without waiting for it."""
        self.worker.start()

    def await_worker(self) -> None:
        """Wait until the worker is ready."""
        self.worker.wait_until(lambda: "worker ready" in self.worker.output, f"worker of {self.name}", timeout=60)

    def renew_worker(self) -> None:
        """Put a fresh worker in the place of this one."""
        self.worker.stop()
        self.worker.start()
        self.await_worker()
