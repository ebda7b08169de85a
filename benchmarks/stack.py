"""Servers, workers and the Messages API of one benchmark run: real processes that end with it.

Five sides do the same work: the product and the bare baseline, each with a model in the worker's process and with one
over HTTP, and the baseline once more on a server with default settings.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from benchmarks.baseline import BareDag, RunInput
from benchmarks.graphs import Call, Dag, Work, read_calls
from bootstrap import Settings, data_converter
from cli.embedded.server import DYNAMIC, PRAGMAS, find_temporal
from tests.processes import DevServer, MessagesApi, messages_api, stack_environment
from tests.real_process import RealProcess, clean_environment, free_port
from workflows.contracts import Plan, PlanRequest, PlanStep
from workflows.plan_and_execute import PlanAndExecuteWorkflow

MAX_PARALLEL = 64
AGENT = "writer"
NOBODY = "http://127.0.0.1:9"
"""An endpoint that is never called: the scripted model answers in the process."""


class SideName(StrEnum):
    """Who does the work, and where its model is."""

    PRODUCT = "product"
    BARE = "bare"
    BARE_DEFAULT = "bare_default"
    PRODUCT_HTTP = "product_http"
    BARE_HTTP = "bare_http"

    @property
    def is_product(self) -> bool:
        return self in (SideName.PRODUCT, SideName.PRODUCT_HTTP)

    @property
    def over_http(self) -> bool:
        return self in (SideName.PRODUCT_HTTP, SideName.BARE_HTTP)


@dataclass
class Side:
    """One worker with the server it works for and the model it asks."""

    name: SideName
    client: Client
    server: RealProcess
    worker: RealProcess
    log: Path
    api: MessagesApi | None = None

    async def start(
        self, dag: Dag, latency: float, size: int, *, heartbeat: float = 0.0, limit: float | None = None
    ) -> WorkflowHandle[Any, Any]:
        """Start a run of the graph; `heartbeat` is for the baseline (the product has its own), `limit` in seconds."""
        run = uuid4().hex[:8]
        options: dict[str, Any] = {"id": run, "task_queue": self.name.value}
        if limit is not None:
            options["execution_timeout"] = timedelta(seconds=limit)
        if not self.name.is_product:
            request = RunInput({step: list(needed) for step, needed in dag.items()}, latency, size, heartbeat)
            return await self.client.start_workflow(BareDag.run, request, **options)
        steps = [
            PlanStep(
                step=step,
                agent=AGENT,
                input=Work(step, run, latency, size).instruction,
                depends_on=tuple(needed),
            )
            for step, needed in dag.items()
        ]
        plan = PlanRequest(plan=Plan(steps=tuple(steps)), max_parallel=MAX_PARALLEL)
        return await self.client.start_workflow(PlanAndExecuteWorkflow.run, plan, **options)

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


@dataclass
class Stack:
    """All sides of a run."""

    sides: dict[SideName, Side]

    def chosen(self, names: Sequence[SideName]) -> list[Side]:
        """Return those of the named sides that run."""
        return [self.sides[name] for name in names if name in self.sides]

    @property
    def pids(self) -> list[int]:
        """The processes of this benchmark that run now."""
        processes = {id(process): process for side in self.sides.values() for process in _processes(side)}
        return [process.pid for process in processes.values() if process.returncode is None]


def _processes(side: Side) -> list[RealProcess]:
    return [side.server, side.worker, *([side.api] if side.api else [])]


@contextmanager
def server(directory: Path, *, tuned: bool) -> Iterator[DevServer]:
    """Run a dev server on a database file: with the flags of our embedded default, or with none."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    flags = [flag for pragma in PRAGMAS for flag in ("--sqlite-pragma", pragma)]
    flags += [flag for value in DYNAMIC for flag in ("--dynamic-config-value", value)]
    process = DevServer(
        command=[
            *(str(find_temporal()), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port)),
            *("--db-filename", str(directory / "temporal.db"), "--log-level", "error"),
            *(flags if tuned else ()),
        ],
        log=directory / "server.log",
        env=clean_environment(),
        address=f"127.0.0.1:{port}",
    )
    process.start()
    try:
        yield process
    finally:
        process.stop()


async def open_stack(directory: Path, names: Sequence[SideName], until: ExitStack) -> Stack:
    """Start what the named sides need; everything ends with `until`."""
    tuned = until.enter_context(server(directory / "tuned", tuned=True))
    default = tuned
    if SideName.BARE_DEFAULT in names:
        default = until.enter_context(server(directory / "default", tuned=False))
    api = until.enter_context(messages_api(directory)) if any(name.over_http for name in names) else None
    sides = {}
    for name in names:
        place = directory / name
        place.mkdir()
        on = default if name is SideName.BARE_DEFAULT else tuned
        converter = {"data_converter": data_converter(_payload_limit())} if name.is_product else {}
        client = await Client.connect(on.address, **converter)
        side_api = api if name.over_http else None
        worker = _worker(name, place, on, side_api)
        sides[name] = Side(name, client, on, worker, place / "calls", side_api)
        worker.start()
        until.callback(worker.stop)
    for side in sides.values():
        side.await_worker()
    return Stack(sides)


def _payload_limit() -> int:
    return int(Settings.model_fields["payload_limit_bytes"].default)


def _worker(name: SideName, place: Path, on: DevServer, api: MessagesApi | None) -> RealProcess:
    log = ("--log", str(place / "calls"))
    if not name.is_product:
        command = ["-m", "benchmarks.baseline_worker", "--address", on.address, "--task-queue", name.value, *log]
        command += ["--api", api.url] if api else []
        environment = clean_environment()
    else:
        command = ["worker.py"] if api else ["-m", "benchmarks.product_worker", *log]
        environment = stack_environment(place, on, api or NOBODY, TASK_QUEUE=name.value, SHUTDOWN_GRACE="5")
    # The sandbox imports modules anew for every run; without bytecode files it would compile them every time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return RealProcess(command=[sys.executable, *command], log=place / "worker.log", env=environment)
