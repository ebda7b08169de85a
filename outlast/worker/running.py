"""The worker process: it serves workflows and activities until it is told to stop.

It drains on SIGTERM and SIGINT: nothing new starts, running model calls finish (`SHUTDOWN_GRACE` seconds). The SDK's native
threads can crash the interpreter at exit, so the process leaves through `os._exit` after everything is flushed.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime
from temporalio.worker import FixedSizeSlotSupplier, Worker, WorkerTuner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from outlast.client import (
    LOCAL_MODEL,
    ServerUnavailableError,
    Settings,
    SettingsError,
    connect,
    load_settings,
    missing_attributes,
)
from outlast.llm.base import LLM
from outlast.redaction import guard_process
from outlast.telemetry.gates import watch_gates
from outlast.telemetry.health import serve_health
from outlast.telemetry.logs import log_to_stderr
from outlast.telemetry.metrics import runtime
from outlast.telemetry.switches import TelemetryError, metrics_wanted
from outlast.telemetry.traces import flush
from outlast.undo.workflow import RollbackWorkflow
from outlast.worker.admission import AdmittedByLag, Lag
from outlast.worker.attempts import Attempts
from outlast.worker.crash_notes import CrashNotes, NotesCrashes, hand_back
from outlast.worker.heartbeat import Keeper
from outlast.worker.outages import OutageWaits
from outlast.worker.processes import Pool, how_many
from outlast.worker.registry import Feature, Registry, model_client
from outlast.worker.replay import check
from outlast.workflow.policies import spaced_queue

STICKY_TIMEOUT = timedelta(seconds=5)
"""How long a task waits for the worker that last held its run, before any other may take it. Whoever starts on the machine of a
worker that died ends that wait (`outlast.worker.crash_notes`); a busy worker is late at times, and a replay makes it later."""

HEARTBEAT_THROTTLE = timedelta(seconds=0.5)
"""Longest time the SDK holds a heartbeat back. Its default is four fifths of the time-out: a busy machine that is late by the
remaining fifth would lose running calls, and pay them again."""

EAGER_ACTIVITIES = 64
"""Activities of one workflow task that may start here without another round trip; the SDK's default is 3."""

WORKFLOW_THREADS = 4
"""Workflow tasks at the same time. Each is a thread that computes; more of them only keep the event loop waiting for its turn,
and its heartbeats with it: with the SDK's 100, runs that crowd in lost calls that were fine."""

LOCAL_ACTIVITIES = 100
"""Local activities at the same time, as the SDK has it."""

CACHED_WORKFLOWS = 1000
"""Runs kept in memory between their tasks, as the SDK has it; with 0 every task replays its run from the beginning."""

PASSED_THROUGH = ("outlast",)
"""Modules without state that the sandbox shares instead of importing them anew for each run; tests police them in a full one."""


@dataclass(frozen=True)
class Served:
    """What a worker process serves: workflows, what brings activities of the application, modules the sandbox shares."""

    workflows: tuple[type, ...]
    features: tuple[Feature, ...] = ()
    shared: tuple[str, ...] = ()
    task_queue: str = ""

    def runner(self) -> WorkflowRunner:
        """Return the sandbox that these workflows run in."""
        return sandbox(*self.shared)


def sandbox(*shared: str) -> WorkflowRunner:
    """Return the sandbox that workflows run in; modules in `shared`, beside the library's, are not imported anew for each run."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH, *shared)
    return SandboxedWorkflowRunner(restrictions=restrictions)


@asynccontextmanager
async def working(
    client: Client,
    settings: Settings,
    llm: LLM,
    *,
    workflows: Sequence[type],
    features: Sequence[Feature] = (),
    task_queue: str | None = None,
    max_activities: int = 200,
    max_cached_workflows: int = CACHED_WORKFLOWS,
    workflow_runner: WorkflowRunner | None = None,
    metrics: MetricMeter | None = None,
) -> AsyncIterator[None]:
    """Work on the task queue, and on the queue of activities that take turns; `llm` is whatever answers the agents.

    `features` bring activities of an application. `workflow_runner` is where workflow code runs; by default the sandbox that
    shares `PASSED_THROUGH`. With `metrics`, gates that wait are reported there, where the namespace has our search attributes.
    """
    indexed = await missing_attributes(client) == []
    registry = Registry(settings, llm, features, indexed=indexed)
    queue = task_queue or settings.task_queue
    grace = timedelta(seconds=settings.shutdown_grace)
    lag, notes = Lag(), CrashNotes.open(settings.state_dir, client.namespace)
    interceptors = [Attempts(), NotesCrashes(notes), OutageWaits(registry.waits)]
    workers = [
        Worker(
            client,
            task_queue=queue,
            workflows=[RollbackWorkflow, *workflows],
            activities=registry.general,
            workflow_runner=workflow_runner or sandbox(),
            tuner=WorkerTuner.create_composite(
                workflow_supplier=FixedSizeSlotSupplier(WORKFLOW_THREADS),
                activity_supplier=AdmittedByLag(max_activities, lag),
                local_activity_supplier=FixedSizeSlotSupplier(LOCAL_ACTIVITIES),
                nexus_supplier=FixedSizeSlotSupplier(1),
            ),
            max_cached_workflows=max_cached_workflows,
            max_concurrent_workflow_task_polls=WORKFLOW_THREADS,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            interceptors=interceptors,
            graceful_shutdown_timeout=grace,
        )
    ]
    if registry.one_by_one:
        workers.append(
            Worker(
                client,
                task_queue=spaced_queue(queue),
                activities=registry.one_by_one,
                max_concurrent_activities=1,
                max_concurrent_activity_task_polls=1,
                interceptors=interceptors,
                graceful_shutdown_timeout=grace,
            )
        )
    await hand_back(settings.state_dir, client)
    try:
        with Keeper.of(client):
            async with lag.measured(), AsyncExitStack() as running:
                for each in workers:
                    await running.enter_async_context(each)
                await running.enter_async_context(_watching(client, metrics if indexed else None))
                yield
    finally:
        notes.close()
        await registry.servers.aclose()


@asynccontextmanager
async def _watching(client: Client, metrics: MetricMeter | None) -> AsyncIterator[None]:
    """Report meanwhile which gates wait."""
    if metrics is None:
        yield
        return
    watch = asyncio.create_task(watch_gates(client, metrics))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def serve(settings: Settings, arguments: argparse.Namespace, served: Served) -> None:
    """Connect, say what is served, and work until told to stop."""
    prometheus = f"{arguments.host}:{arguments.metrics_port}" if arguments.metrics_port else None
    try:
        exporting = runtime(settings.otel_exporter_otlp_endpoint, prometheus)
    except TelemetryError as error:
        raise SettingsError(str(error)) from error
    Runtime.set_default(exporting)
    measured = prometheus or metrics_wanted(settings.otel_exporter_otlp_endpoint)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await connect(settings)
    task_queue = arguments.task_queue or served.task_queue or settings.task_queue
    async with (
        aclosing(model_client(settings)) as llm,  # after connecting, which sets up what the client's spans go to
        working(
            client,
            settings,
            llm,
            workflows=served.workflows,
            features=served.features,
            workflow_runner=served.runner(),
            task_queue=task_queue,
            max_activities=arguments.max_activities,
            max_cached_workflows=arguments.max_cached_workflows,
            metrics=exporting.metric_meter if measured else None,
        ),
    ):
        health = await serve_health(arguments.host, arguments.health_port)
        # What the start made stays; looking through it for garbage holds every call up for a fifth of a second each time. And
        # with Python's own threshold, a busy worker spends a twentieth of its time looking.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000)
        _announce(client, settings, task_queue, served)
        await stop.wait()
        print("stopping: waiting for running calls to finish", flush=True)  # noqa: T201
        if health:
            health.close()


def _announce(client: Client, settings: Settings, task_queue: str, served: Served) -> None:
    names = ", ".join(workflow.__name__ for workflow in served.workflows)
    model = LOCAL_MODEL if settings.local else settings.anthropic_base_url or "Claude"
    print(  # noqa: T201
        f"worker ready: task queue {task_queue!r} in namespace {client.namespace!r} at "
        f"{client.service_client.config.target_host}\n  workflows: {names}\n  models: {model}\n"
        f"  content store: {settings.store_url}",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the workflows and activities of this application.")
    parser.add_argument(
        "--processes", type=how_many, default=1, metavar="N|auto", help="worker processes, `auto` for one on each core"
    )
    parser.add_argument("--task-queue", help="task queue to serve (default: TASK_QUEUE)")
    parser.add_argument("--max-activities", type=int, default=200, help="activities at the same time")
    parser.add_argument("--max-cached-workflows", type=int, default=CACHED_WORKFLOWS, help="runs kept in memory")
    parser.add_argument("--host", default="127.0.0.1", help="address for health and metrics")
    parser.add_argument("--health-port", type=int, help="answer health checks over HTTP on this port")
    parser.add_argument("--metrics-port", type=int, help="serve Prometheus metrics on this port")
    parser.add_argument(
        "--replay",
        nargs="+",
        metavar="HISTORY",
        help="work on nothing: replay histories with this code (files, ids of runs, or 'open' for all that go on) and leave",
    )
    return parser.parse_args()


def _pool(arguments: argparse.Namespace) -> Pool:
    passed = ["--max-activities", str(arguments.max_activities)]
    passed += ["--max-cached-workflows", str(arguments.max_cached_workflows)]
    passed += ["--task-queue", arguments.task_queue] if arguments.task_queue else []
    return Pool(arguments.processes, passed, arguments.host, arguments.health_port, arguments.metrics_port)


def run_worker(
    *, workflows: Sequence[type], features: Sequence[Feature] = (), shared: Sequence[str] = (), task_queue: str = ""
) -> NoReturn:
    """Run a worker process by its command line (`--help` shows it), and leave.

    `shared` names modules without state that the sandbox need not import anew for each run; `task_queue` replaces TASK_QUEUE.
    Exit codes: 0 stopped, 1 a history does not replay, 2 wrong settings, 3 no server.

        if __name__ == "__main__":
            run_worker(workflows=[Triage])
    """
    code = _run(Served(tuple(workflows), tuple(features), tuple(shared), task_queue))
    flush()
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def _run(served: Served) -> int:
    arguments = _arguments()
    guard_process()
    # The sandbox imports workflow modules anew for every run: without bytecode files it compiles them every time.
    sys.dont_write_bytecode = False
    try:
        settings = load_settings()
        log_to_stderr(settings.log_level, settings.log_format)
        if arguments.replay:
            known = (RollbackWorkflow, *served.workflows)
            return 0 if asyncio.run(check(settings, arguments.replay, known, served.runner())) else 1
        if arguments.processes > 1:
            return asyncio.run(_pool(arguments).run())
        asyncio.run(serve(settings, arguments, served))
    except (SettingsError, ServerUnavailableError) as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201
        return 2 if isinstance(error, SettingsError) else 3
    return 0
