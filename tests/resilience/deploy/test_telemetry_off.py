"""Telemetry never stands in the way: off it is not even imported, and a collector that is dead or deaf delays nobody."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doubles.otlp import collector
from tests.processes import (
    PROJECT,
    DevServer,
    MessagesApi,
    clean_environment,
    dev_server,
    messages_api,
    stack_environment,
    starter,
    worker,
)

pytestmark = pytest.mark.xdist_group("spans")

IMPORTED = """
import asyncio, sys
import worker, starter
from outlast.worker import registry, running
from outlast.client import connect, load_settings

async def work():
    settings = load_settings()
    client = await connect(settings)
    async with worker.working(client, settings, registry.model_client(settings)):
        print(*sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))))

running.Runtime.set_default(running.runtime(None, None))
asyncio.run(work())
sys.stdout.flush()
__import__("os")._exit(0)
"""


FLUSHED = """
import os, sys, time
from opentelemetry import trace
from outlast.telemetry.traces import flush, tracing

tracing(sys.argv[1])
trace.get_tracer("test").start_span("one").end()
began = time.monotonic()
flush()
print(time.monotonic() - began, flush=True)
os._exit(0)
"""

REPLAYED = """
import asyncio, sys
from pathlib import Path
from outlast.telemetry.traces import flush, tracing

async def replay():
    plugins = tracing(sys.argv[1])
    from dataclasses import replace
    from temporalio.client import WorkflowHistory
    from outlast.client import data_converter
    from outlast.worker.sandbox import TolerantReplayer
    from tests.policed import policed
    from tests.served import EVERY_WORKFLOW
    replayer = TolerantReplayer(
        workflows=EVERY_WORKFLOW, data_converter=data_converter(512 * 1024), plugins=plugins,
        workflow_runner=policed(),
    )
    for name in sys.argv[2:]:
        await replayer.replay_workflow(WorkflowHistory.from_json(Path(name).stem, Path(name).read_text()))
    print("replayed", len(sys.argv) - 2)

asyncio.run(replay())
flush()
sys.stdout.flush()
__import__("os")._exit(0)
"""


@dataclass(frozen=True)
class Ended:
    """How a run went: seconds that the starter took and that the worker took to stop, what each of them complained of."""

    starter: float
    stopping: float
    told: list[str]
    logged: list[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("off")


@pytest.fixture(scope="module")
def stack(place: Path) -> Iterator[tuple[DevServer, MessagesApi]]:
    with dev_server(place) as server, messages_api(place) as api:
        yield server, api


@contextmanager
def listening() -> Iterator[str]:
    """An address that takes connections, and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_leaving_waits_two_seconds_at_most_and_not_at_all_where_nobody_listens() -> None:
    def flushed(address: str) -> float:
        command = [sys.executable, "-c", FLUSHED, address]
        done = subprocess.run(
            command, cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    # The exporter itself would try for ten seconds.
    assert flushed("http://127.0.0.1:9") < 1.5
    with listening() as address:
        assert 1.9 < flushed(address) < 4


def _run(place: Path, stack: tuple[DevServer, MessagesApi], name: str, endpoint: str | None) -> Ended:
    settings: dict[str, str | None] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
        "HEARTBEAT_TIMEOUT": "15",
    }
    server, api = stack
    with worker(place, server, api, name=name, **settings) as working:
        began = time.monotonic()
        done = starter("plan", "write", "--id", name, env=stack_environment(place, server, api, **settings))
        took = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        began = time.monotonic()
        assert working.stop(30) == 0
        stopping = time.monotonic() - began
        logged = [json.loads(line)["message"] for line in working.output.splitlines() if line.startswith("{")]
    told = [line for line in done.stderr.splitlines() if not line.startswith("started ")]
    return Ended(took, stopping, told, logged)


@pytest.mark.timeout(150)
def test_a_collector_that_is_dead_or_deaf_delays_nobody(place: Path, stack: tuple[DevServer, MessagesApi]) -> None:
    _run(place, stack, "first", None)  # what is imported for the first time takes longer
    off = _run(place, stack, "off", None)
    dead = _run(place, stack, "dead", "http://127.0.0.1:9")
    with listening() as address:
        deaf = _run(place, stack, "deaf", address)

    assert off.told == off.logged == [], "quiet by default"
    # Wide, because others use this machine: the flush itself, the only thing that anybody waits for, is timed below.
    assert max(dead.starter, deaf.starter) < off.starter + 8
    assert max(dead.stopping, deaf.stopping) < off.stopping + 8
    assert len(dead.told) == 1
    assert dead.told[0].endswith("http://127.0.0.1:9/v1/traces")
    assert len(dead.logged) == 2, "one line for traces and one for metrics, however often they were tried"


def test_off_not_even_the_sdk_is_imported(place: Path, stack: tuple[DevServer, MessagesApi]) -> None:
    found = {}
    for name, endpoint in {"off": None, "on": "http://127.0.0.1:9"}.items():
        env = stack_environment(place, *stack, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, PYTHONPATH=str(PROJECT))
        done = subprocess.run([sys.executable, "-c", IMPORTED], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[name] = done.stdout.split()
    assert found["off"] == []
    assert "opentelemetry.sdk.trace" in found["on"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317"}, "traces go over HTTP; write the collector's HTTP port"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "5s"}, "OTEL_METRIC_EXPORT_INTERVAL=5s: write milliseconds"),
    ],
)
def test_a_wrong_variable_is_named(
    place: Path, stack: tuple[DevServer, MessagesApi], settings: dict[str, str], told: str
) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **settings}
    done = subprocess.run(
        [sys.executable, "worker.py"],
        cwd=PROJECT,
        env=stack_environment(place, *stack, **given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_what_began_without_telemetry_goes_on_with_it(tmp_path: Path) -> None:
    """Histories that were recorded with it off replay with it on, and a replay exports nothing."""
    histories = sorted((PROJECT / "tests" / "replay" / "histories").glob("*.json"))
    chosen = [str(path) for path in {path.name.split("-")[0]: path for path in histories}.values()]
    with collector() as otlp:
        command = [sys.executable, "-c", REPLAYED, otlp.url, *chosen]
        env = clean_environment(OTEL_BSP_SCHEDULE_DELAY="50")
        done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
        assert done.stdout == f"replayed {len(chosen)}\n", done.stderr
        assert len(chosen) >= 8
        assert [span.name for span in otlp.spans] == []
