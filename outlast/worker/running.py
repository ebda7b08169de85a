"""Running a worker: as a process of its own with a command line (`run_worker`), or within a program (`running_worker`).

The process drains on SIGTERM and SIGINT: nothing new starts, running model calls finish (`SHUTDOWN_GRACE` seconds). The SDK's
native threads can crash the interpreter at exit, so the process leaves through `os._exit` after everything is flushed.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from outlast.client import (
    LOCAL_MODEL,
    ServerUnavailableError,
    Settings,
    SettingsError,
    connect,
    has_our_converter,
    load_settings,
    missing_attributes,
)
from outlast.llm.base import LLM
from outlast.plugin import PASSED_THROUGH, OutlastPlugin
from outlast.redaction import guard_process
from outlast.telemetry.gates import watch_gates
from outlast.telemetry.health import serve_health
from outlast.telemetry.logs import log_to_stderr
from outlast.telemetry.metrics import runtime
from outlast.telemetry.switches import TelemetryError, metrics_wanted
from outlast.telemetry.traces import flush
from outlast.tools.tool import Tool
from outlast.undo.workflow import RollbackWorkflow
from outlast.worker.arguments import WorkerArgumentError, check_workflows, runs_in_thread
from outlast.worker.processes import Pool, how_many
from outlast.worker.registry import Feature
from outlast.worker.replay import check

STICKY_TIMEOUT = timedelta(seconds=5)
"""How long a task waits for the worker that last held its run, before any other may take it. Whoever starts on the machine of a
worker that died ends that wait (`outlast.worker.crash_notes`); a busy worker is late at times, and a replay makes it later."""

EAGER_ACTIVITIES = 64
"""Activities of one workflow task that may start here without another round trip; the SDK's default is 3."""

WORKFLOW_THREADS = 4
"""Workflow tasks at the same time. Each is a thread that computes; more of them only keep the event loop waiting for its turn,
and its heartbeats with it: with the SDK's 100, runs that crowd in lost calls that were fine."""

CACHED_WORKFLOWS = 1000
"""Runs kept in memory between their tasks, as the SDK has it; with 0 every task replays its run from the beginning."""


def sandbox(*shared: str) -> WorkflowRunner:
    """Return the sandbox that workflows run in; modules in `shared`, beside the library's, are not imported anew for each run."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH, *shared)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def runner_of(settings: Settings, shared: Sequence[str] = ()) -> WorkflowRunner:
    """Return where workflow code runs by the settings: in the sandbox, or, with WORKFLOW_SANDBOX=off, without one."""
    return UnsandboxedWorkflowRunner() if settings.workflow_sandbox == "off" else sandbox(*shared)


@asynccontextmanager
async def running_worker(
    client: Client,
    *,
    workflows: Sequence[type],
    tools: Sequence[Tool] = (),
    activities: Sequence[Callable[..., Any]] = (),
    features: Sequence[Feature] = (),
    agents_dir: str | Path | None = None,
    settings: Settings | None = None,
    llm: LLM | None = None,
    task_queue: str | None = None,
    max_activities: int = 200,
    max_cached_workflows: int = CACHED_WORKFLOWS,
    shared: Sequence[str] = (),
    workflow_runner: WorkflowRunner | None = None,
    metrics: MetricMeter | None = None,
) -> AsyncIterator[Worker]:
    """Run a worker within a program that has its own event loop and its own client, while the block runs.

    Args:
        client: A client with our data converter: of `outlast.client.connect`, or one that has `OutlastPlugin`'s converter.
        workflows: Workflow classes; ours that other runs need are added.
        tools: Functions with `@tool`, beside the standard tools.
        activities: Functions or bound methods with `@activity.defn`; plain functions run in threads.
        features: What brings activities that need the settings or the content store.
        agents_dir: The folder of the agents' files. Default: that of the settings.
        settings: Settings of one's own. Default: the environment and `.env`.
        llm: What answers the agents. Default: Claude, by the settings.
        task_queue: The task queue to serve. Default: that of the settings.
        max_activities: Most activities at the same time.
        max_cached_workflows: Most runs kept in memory.
        shared: Modules without state that the sandbox need not import anew for each run.
        workflow_runner: Where workflow code runs. Default: by the settings.
        metrics: Where gates that wait are reported, if the namespace has our search attributes.

    Raises:
        WorkerArgumentError: An argument is wrong; the message names it and the fix.
        SettingsError: A setting is wrong; the message names it.

    Example:
        ```python
        async with running_worker(client, workflows=[Triage], tools=[page_oncall], agents_dir="agents"):
            result = await client.execute_workflow(Triage.run, request, id="triage-1", task_queue="agents")
        ```
    """
    settings = settings or load_settings()
    plugin = OutlastPlugin(
        tools=tools, activities=activities, features=features, agents_dir=agents_dir, settings=settings, llm=llm
    )
    check_workflows(workflows)
    _check_client(client)
    worker = Worker(
        client,
        task_queue=task_queue or settings.task_queue,
        workflows=workflows,
        plugins=[plugin],
        workflow_runner=workflow_runner or runner_of(settings, shared),
        activity_executor=ThreadPoolExecutor(max_activities) if any(map(runs_in_thread, activities)) else None,
        max_concurrent_activities=max_activities,
        max_concurrent_workflow_tasks=WORKFLOW_THREADS,
        max_concurrent_workflow_task_polls=WORKFLOW_THREADS,
        max_cached_workflows=max_cached_workflows,
        max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
    )
    async with worker, _watching(client, metrics):
        yield worker


def _check_client(client: Client) -> None:
    config = client.config(active_config=True)
    if any(isinstance(each, OutlastPlugin) for each in config["plugins"]):
        raise WorkerArgumentError(
            "client: it has OutlastPlugin already, which every Worker(client, …) uses; run such a worker, or give a client "
            "without the plugin: await outlast.client.connect(settings)"
        )
    if not has_our_converter(config["data_converter"]):
        raise WorkerArgumentError(
            "client: it lacks our data converter; take the client of outlast.client.connect(settings), or give yours "
            "data_converter=outlast.client.extended_converter(yours, settings.payload_limit_bytes)"
        )


@asynccontextmanager
async def _watching(client: Client, metrics: MetricMeter | None) -> AsyncIterator[None]:
    """Report meanwhile which gates wait; they are found by our search attributes."""
    if metrics is None or await missing_attributes(client) != []:
        yield
        return
    watch = asyncio.create_task(watch_gates(client, metrics))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


@dataclass(frozen=True)
class Served:
    """What a worker process serves."""

    workflows: tuple[type, ...]
    tools: tuple[Tool, ...]
    activities: tuple[Callable[..., Any], ...]
    features: tuple[Feature, ...]
    agents_dir: str | Path | None
    shared: tuple[str, ...]


async def _serve(settings: Settings, arguments: argparse.Namespace, served: Served) -> None:
    """Connect, report what is served, and work until stopped."""
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
    task_queue = arguments.task_queue or settings.task_queue
    async with running_worker(
        client,
        workflows=served.workflows,
        tools=served.tools,
        activities=served.activities,
        features=served.features,
        agents_dir=served.agents_dir,
        settings=settings,
        task_queue=task_queue,
        max_activities=arguments.max_activities,
        max_cached_workflows=arguments.max_cached_workflows,
        shared=served.shared,
        metrics=exporting.metric_meter if measured else None,
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
    *,
    workflows: Sequence[type],
    tools: Sequence[Tool] = (),
    activities: Sequence[Callable[..., Any]] = (),
    features: Sequence[Feature] = (),
    agents_dir: str | Path | None = None,
    settings: Settings | None = None,
    shared: Sequence[str] = (),
) -> NoReturn:
    """Run a worker process by its command line (`--help` shows it), and leave.

    The exit code is 0 after a stop, 1 for a history that does not replay (`--replay`), 2 for wrong settings or arguments, and 3
    where no server answers.

    Args:
        workflows: Workflow classes; ours that other runs need are added.
        tools: Functions with `@tool`, beside the standard tools.
        activities: Functions or bound methods with `@activity.defn`; plain functions run in threads.
        features: What brings activities that need the settings or the content store.
        agents_dir: The folder of the agents' files. Default: that of the settings (AGENTS_DIR).
        settings: Settings of one's own. Default: the environment and `.env`.
        shared: Modules without state that the workflow sandbox need not import anew for each run.

    Example:
        ```python
        if __name__ == "__main__":
            run_worker(workflows=[Triage], tools=[page_oncall], agents_dir="agents")
        ```
    """
    served = Served(tuple(workflows), tuple(tools), tuple(activities), tuple(features), agents_dir, tuple(shared))
    code = _run(served, settings)
    flush()
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def _run(served: Served, settings: Settings | None) -> int:
    arguments = _arguments()
    guard_process()
    # The sandbox imports workflow modules anew for every run: without bytecode files it compiles them every time.
    sys.dont_write_bytecode = False
    try:
        settings = settings or load_settings()
        log_to_stderr(settings.log_level, settings.log_format)
        check_workflows(served.workflows)
        if arguments.replay:
            known = (RollbackWorkflow, *served.workflows)
            return 0 if asyncio.run(check(settings, arguments.replay, known, runner_of(settings, served.shared))) else 1
        if arguments.processes > 1:
            return asyncio.run(_pool(arguments).run())
        asyncio.run(_serve(settings, arguments, served))
    except (SettingsError, WorkerArgumentError, ServerUnavailableError) as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201
        return 3 if isinstance(error, ServerUnavailableError) else 2
    return 0
