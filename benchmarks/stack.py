"""Servers, workers and the Messages API of one benchmark run: real processes that end with it.

Five sides do the same work: the product and the bare baseline, each with a model in the worker's process and with one
over HTTP, and the baseline once more on a server with default settings. A sixth is the product over HTTP with telemetry on.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client
from temporalio.converter import DataConverter

from benchmarks.sides import Side, SideName
from outlast.client import Settings, data_converter
from outlast.devstack.server import DYNAMIC, PRAGMAS, find_temporal
from tests.processes import DevServer, MessagesApi, messages_api, stack_environment
from tests.real_process import RealProcess, clean_environment, free_port

NOBODY = "http://127.0.0.1:9"
"""An endpoint that is never called: the scripted model answers in the process."""


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
    return [side.server, side.worker, *([side.api] if side.api else []), *([side.sink] if side.sink else [])]


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
        converter = data_converter(_payload_limit()) if name.is_product else DataConverter.default
        client = await Client.connect(on.address, data_converter=converter)
        side_api = api if name.over_http else None
        sink = until.enter_context(_sink(place)) if name is SideName.SEEN else None
        worker = _worker(name, place, on, side_api, sink)
        sides[name] = Side(name, client, on, worker, place / "calls", side_api, sink)
        worker.start()
        until.callback(worker.stop)
    for side in sides.values():
        side.await_worker()
    return Stack(sides)


def _payload_limit() -> int:
    return int(Settings.model_fields["payload_limit_bytes"].default)


@contextmanager
def _sink(place: Path) -> Iterator[RealProcess]:
    """Run what takes OTLP and drops it; its port stands at the end of its command."""
    process = RealProcess(
        command=[sys.executable, "-m", "benchmarks.sink", str(free_port())],
        log=place / "sink.log",
        env=clean_environment(),
    )
    process.start()
    try:
        process.wait_until(lambda: "ready" in process.output, "the sink is ready")
        yield process
    finally:
        process.stop()


@contextmanager
def own_worker(side: Side, queue: str, url: str, *arguments: str, ready: int = 1) -> Iterator[RealProcess]:
    """Run a fresh `worker.py` for a figure of its own, on the server of `side`, until the block ends.

    `ready` is how many processes say that they are ready before the block begins.
    """
    place = side.log.parent / queue
    place.mkdir(exist_ok=True)
    process = RealProcess(
        command=[sys.executable, "worker.py", *arguments],
        log=place / "worker.log",
        env=_environment(place, side.address, url, queue),
    )
    process.start()
    try:
        process.wait_until(lambda: process.output.count("worker ready") >= ready, f"worker of {queue}", timeout=60)
        yield process
    finally:
        process.stop()


def _environment(place: Path, address: str, url: str, queue: str, endpoint: str | None = None) -> dict[str, str]:
    environment = stack_environment(
        place,
        address,
        url,
        TASK_QUEUE=queue,
        SHUTDOWN_GRACE="5",
        WORKFLOW_SANDBOX=os.environ.get("WORKFLOW_SANDBOX"),
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
    )
    # The sandbox imports modules anew for every run; without bytecode files it would compile them every time.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _worker(
    name: SideName, place: Path, on: DevServer, api: MessagesApi | None, sink: RealProcess | None = None
) -> RealProcess:
    log = ("--log", str(place / "calls"))
    if not name.is_product:
        command = ["-m", "benchmarks.bare.worker", "--address", on.address, "--task-queue", name.value, *log]
        command += ["--api", api.url] if api else []
        environment = clean_environment()
    else:
        command = ["worker.py"] if api else ["-m", "benchmarks.product_worker", *log]
        endpoint = f"http://127.0.0.1:{sink.command[-1]}" if sink else None
        environment = _environment(place, on.address, api.url if api else NOBODY, name.value, endpoint)
    return RealProcess(command=[sys.executable, *command], log=place / "worker.log", env=environment)
