"""One stack under chaos: a dev server on a database file, two workers behind proxies, a content store, the double of the API."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError

from outlast.client import data_converter
from outlast.devstack.server import find_temporal, server_command
from outlast.testing.chaos import hosting
from outlast.testing.chaos.processes import Children, Launch, Process, launch
from outlast.testing.chaos.proxy import Proxy
from outlast.testing.messages_api.double import Double, application
from outlast.testing.messages_api.rules import Rule, Script

READY_WITHIN = 90.0
GRACE = 20
"""Seconds that a worker which is stopped has for its calls."""
LATENCY = 0.2


@dataclass(frozen=True)
class Setup:
    """What all stacks of a chaos run have in common.

    Args:
        worker: The worker's program and its arguments (`("worker.py",)`), or `module:Workflow`, several by comma.
        settings: Variables of its environment, and of the starters'.
        task_queue: The task queue that it serves.
        answers: Rules of what the double of the API answers.
        server_options: Further options of the server: dynamic configuration, say.
        launch: How processes are started.
    """

    worker: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    task_queue: str = "agents"
    answers: Sequence[Rule] = ()
    server_options: Sequence[str] = ()
    launch: Launch = launch


class _Serving(uvicorn.Server):
    """Leaves the signals of this process alone."""

    def capture_signals(self) -> Any:
        return nullcontext()


@dataclass
class Worker(Process):
    """One of the two workers; `asked_to_end` is when it was sent SIGTERM."""

    options: tuple[str, ...] = ()
    clock: float = 0.0
    asked_to_end: float = 0.0


@dataclass
class Stack:
    """What runs, and what can be struck."""

    directory: Path
    setup: Setup
    env: Mapping[str, str]
    api: Double
    api_proxy: Proxy
    server_proxy: Proxy
    server: Process
    workers: list[Worker]
    port: int
    client: Client
    builds: int = 1
    ends: dict[str, tuple[float, bool]] = field(default_factory=dict)
    """When each process of a worker ended, by its mark, and whether what it was doing then may be done again."""
    watching: list[asyncio.Task[list[str]]] = field(default_factory=list)
    """Looks for processes that outlive their worker."""
    exits: list[str] = field(default_factory=list)
    cut: list[tuple[float, float]] = field(default_factory=list)
    """When connections to the API were cut."""
    full: list[tuple[float, float]] = field(default_factory=list)
    """When no file could grow, so that an answer was nowhere but in memory."""

    @property
    def content(self) -> Path:
        """The directory of the content store."""
        return self.directory / "content"

    def mark(self, worker: Worker) -> str:
        """Name the process that a worker now is; the API sees it with each call."""
        return f"{worker.name}-{worker.number}"

    async def start(self) -> None:
        """Start the server and both workers, and wait until they are ready."""
        await self.start_server()
        for worker in self.workers:
            self.start_worker(worker)
        for worker in self.workers:
            await self.ready(worker)

    async def start_server(self) -> None:
        """Start the server on its database, and wait until it answers."""
        binary, database = find_temporal(), self.directory / "temporal.db"
        command = (*server_command(binary, database, self.port, None), *self.setup.server_options)
        self.server.start(command)
        deadline = time.monotonic() + READY_WITHIN
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                with suppress(RPCError, RuntimeError):
                    client = await Client.connect(f"127.0.0.1:{self.port}", lazy=True, runtime=_quiet())
                    await client.service_client.check_health(timeout=timedelta(seconds=2))
                    return
            if not self.server.running:
                said = self.server.said()[-500:]
                if "address already in use" not in said or time.monotonic() > deadline:
                    raise RuntimeError(f"the server ended with {self.server.code}: {said}")
                await asyncio.sleep(0.5)  # somebody's connection has the port just now
                self.server.start(command)
            await asyncio.sleep(0.1)

    def start_worker(self, worker: Worker, *options: str, clock: float = 0.0) -> None:
        """Start a worker; it is ready later."""
        command = [hosting.__file__, *(("--clock", str(clock)) if clock else ()), *self.setup.worker, *options]
        worker.options, worker.clock, worker.asked_to_end = options, clock, 0.0
        url = f"http://127.0.0.1:{self.api_proxy.port}?worker={worker.name}-{worker.number + 1}"
        worker.start(command, ANTHROPIC_BASE_URL=url, OUTLAST_BUILD=f"build-{self.builds}")

    async def ready(self, worker: Worker) -> None:
        """Wait until a worker works; one that cannot start while something else is away is started again, as by its keeper."""
        deadline = time.monotonic() + READY_WITHIN
        while not await self._polls(worker) and not worker.stopped:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{worker.name} does not get ready: {worker.said()[-2000:]}")
            await asyncio.sleep(0.2)
            if not worker.running:
                self.start_worker(worker, *worker.options, clock=worker.clock)

    async def _polls(self, worker: Worker) -> bool:
        """Whether the server knows a worker; what it says of itself may be lost on a full disk."""
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=self.setup.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        with suppress(RPCError):
            found = await self.client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=2))
            return any(poller.identity.startswith(f"{worker.pid}@") for poller in found.pollers)
        return False

    async def kill_worker(self, worker: Worker) -> None:
        """End a worker as a crash would, and look for what it leaves behind."""
        children = Children.of(worker)
        if worker.running:
            self.ends[self.mark(worker)] = (time.time(), True)
        await worker.kill()
        self.watching.append(asyncio.create_task(children.orphans()))

    async def stop_worker(self, worker: Worker) -> None:
        """Ask a worker to end, and wait until it has."""
        children, mark = Children.of(worker), self.mark(worker)
        worker.stopped, worker.asked_to_end = True, time.time()
        worker.send(signal.SIGTERM)
        code = await worker.ended(GRACE * 2)
        if code is None:
            self.exits.append(f"{mark} did not end within {GRACE * 2} s of SIGTERM: {worker.said()[-300:]}")
            await worker.kill()
        elif code != 0:
            self.exits.append(f"{mark} left with {code} after SIGTERM: {worker.said()[-300:]}")
        # What takes longer than its grace is given up.
        self.ends[mark] = (time.time(), time.time() - worker.asked_to_end > GRACE - 1)
        self.watching.append(asyncio.create_task(children.orphans()))


@cache
def _quiet() -> Runtime:
    """Report nothing of a server that does not answer: that is what is done to it here."""
    return Runtime(telemetry=TelemetryConfig(logging=None))


async def _serve_api(api: Double) -> tuple[_Serving, asyncio.Task[None], int]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    serving = _Serving(
        uvicorn.Config(application(api), log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
    )
    task = asyncio.create_task(serving.serve(sockets=[listening]))
    return serving, task, listening.getsockname()[1]


def _settings(setup: Setup, directory: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that workers and starters share."""
    return {
        **environment,
        "STATE_DIR": str(directory / "state"),
        "CONTENT_STORE_URL": (directory / "content").as_uri(),
        "ANTHROPIC_API_KEY": "no-key-of-anybody",
        "MODEL_READ_TIMEOUT": "10",
        "HEARTBEAT_TIMEOUT": "30",  # a machine that does other work as well stands still for longer than the usual 15 s
        "SHUTDOWN_GRACE": str(GRACE),
        **setup.settings,
    }


@asynccontextmanager
async def running(setup: Setup, directory: Path, environment: Mapping[str, str]) -> AsyncIterator[Stack]:
    """Run a stack while the block runs; everything it writes is in `directory`."""
    api = Double(LATENCY, 0)
    api.change(Script(rules=list(setup.answers)))
    serving, task, api_port = await _serve_api(api)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api_proxy, server_proxy = Proxy(api_port), Proxy(port)
    for proxy in (api_proxy, server_proxy):
        await proxy.open()
    shared = _settings(setup, directory, environment)
    starters = shared | {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{api_proxy.port}",
    }
    working = shared | {"TEMPORAL_ADDRESS": f"127.0.0.1:{server_proxy.port}"}
    stack = Stack(
        directory=directory,
        setup=setup,
        env=starters,
        api=api,
        api_proxy=api_proxy,
        server_proxy=server_proxy,
        server=Process("server", environment, directory / "server.log"),
        workers=[Worker(name, working, directory / f"{name}.log", setup.launch) for name in ("one", "two")],
        port=port,
        client=await Client.connect(
            f"127.0.0.1:{port}", data_converter=data_converter(512 * 1024), lazy=True, runtime=_quiet()
        ),
    )
    try:
        await stack.start()
        yield stack
    finally:
        for process in (*stack.workers, stack.server):
            await process.kill()
        serving.should_exit = True
        for proxy in (api_proxy, server_proxy):
            await proxy.cut()
        await asyncio.wait([task], timeout=5)
