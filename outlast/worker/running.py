"""`run_worker`: a worker process with a command line. Within a program of your own: `outlast.worker.serving.running_worker`.

The process drains on SIGTERM and SIGINT: nothing new starts, running model calls finish (`SHUTDOWN_GRACE` seconds). The SDK's
native threads can crash the interpreter at exit, so the process leaves through `os._exit` after everything is flushed.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime
from temporalio.service import RPCError

from outlast.client import (
    ServerUnavailableError,
    Settings,
    SettingsError,
    connect,
    load_settings,
)
from outlast.processes import memory
from outlast.processes.ports import HIGHEST, PortError, free_address
from outlast.redaction import guard_process
from outlast.telemetry.health import serve_health
from outlast.telemetry.logs import log_to_stderr
from outlast.telemetry.metrics import runtime
from outlast.telemetry.switches import TelemetryError, metrics_wanted
from outlast.telemetry.traces import flush
from outlast.tools.tool import Tool
from outlast.worker.arguments import (
    MOST,
    WorkerArgumentError,
    check_activities,
    check_model_classes,
    check_tools,
    check_workflows,
    with_agents,
)
from outlast.worker.processes import Pool, between, how_many
from outlast.worker.registry import OWN_WORKFLOWS, Feature
from outlast.worker.replay import check
from outlast.worker.routing import UNVERSIONED, Build, served_by
from outlast.worker.serving import CACHED_WORKFLOWS, runner_of, running_model_worker, running_worker
from outlast.worker.versioning import with_build
from outlast.workflow.policies import class_queue

NO_CLASS = "none"
"""What `--model-class` names for a worker that leaves the classes of models to others."""


@dataclass(frozen=True)
class Served:
    """What a worker process serves."""

    workflows: tuple[type, ...]
    tools: tuple[Tool, ...]
    activities: tuple[Callable[..., Any], ...]
    features: tuple[Feature, ...]
    shared: tuple[str, ...]
    task_queue: str


async def _serve(settings: Settings, arguments: argparse.Namespace, served: Served) -> None:
    """Connect, report what is served, and work until stopped."""
    prometheus = _ports(arguments)
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
    meter = exporting.metric_meter if measured else None
    async with _working(client, settings, task_queue, arguments, served, meter):
        health = await serve_health(arguments.host, arguments.health_port)
        memory.started()
        await _announce(client, settings, task_queue, served, arguments.model_classes)
        await stop.wait()
        print("stopping: waiting for running calls to finish", flush=True)  # noqa: T201
        if health:
            health.close()


def _ports(arguments: argparse.Namespace) -> str | None:
    """Check before anything starts that the ports can be taken, and return where metrics are served; raises PortError."""
    if arguments.health_port is not None:
        free_address(arguments.host, arguments.health_port, "--health-port")
    port = arguments.metrics_port
    return None if not port else free_address(arguments.host, port, "--metrics-port")


def _working(
    client: Client,
    settings: Settings,
    task_queue: str,
    arguments: argparse.Namespace,
    served: Served,
    metrics: MetricMeter | None,
) -> AbstractAsyncContextManager[object]:
    """Return what works: a whole worker, or one that makes calls to models of some classes alone."""
    if arguments.model_classes and arguments.model_classes != [NO_CLASS]:
        return running_model_worker(client, settings, task_queue, arguments.model_classes)
    return running_worker(
        client,
        workflows=served.workflows,
        tools=served.tools,
        activities=served.activities,
        features=served.features,
        settings=settings,
        task_queue=task_queue,
        max_activities=arguments.max_activities,
        max_cached_workflows=arguments.max_cached_workflows,
        shared=served.shared,
        metrics=metrics,
        model_classes=() if arguments.model_classes else None,
    )


async def _announce(
    client: Client, settings: Settings, task_queue: str, served: Served, asked: Sequence[str] | None
) -> None:
    alone = [name for name in asked or () if name != NO_CLASS]
    limits = settings.model_table().classes
    classes = [
        f"  calls to {name}: task queue {class_queue(task_queue, name)!r}, {limits[name].concurrent} at the same time"
        + (f", all workers together {limits[name].per_second:g} a second" if limits[name].per_second else "")
        for name in (alone if asked else limits)
    ]
    names = ", ".join(workflow.__name__ for workflow in served.workflows)
    served_here = f"calls of the runs of {task_queue!r} alone" if alone else f"task queue {task_queue!r}"
    lines = [
        f"worker ready: {served_here} in namespace {client.namespace!r} at {client.service_client.config.target_host}",
        *([] if alone else [f"  workflows: {names}"]),
        f"  models: {settings.model_source}",
        *classes,
        f"  content store: {settings.store_url}{await _build(client, settings, task_queue)}",
    ]
    print("\n".join(lines), flush=True)  # noqa: T201


async def _build(client: Client, settings: Settings, task_queue: str) -> str:
    """Say which build this is, and how it becomes one that gets runs if it does not."""
    build = Build(settings.temporal_deployment_name, settings.temporal_worker_build_id)
    if build == UNVERSIONED:
        return ""
    waits = f"; it gets no new runs until 'temporal worker deployment set-current-version {build.named}'"
    with suppress(RPCError):  # a worker's credentials may not reach so far
        return f"\n  {build}{'' if build in (await served_by(client, task_queue)).routed else waits}"
    return f"\n  {build}"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all that is given to a worker wrongly; the usage is a dozen, and --help shows it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"worker: {message.removeprefix('argument ')}\n")


def _arguments() -> argparse.Namespace:
    parser = _Parser(description="Run the workflows and activities of this application.")
    parser.add_argument(
        "--processes", type=how_many, default=1, metavar="N|auto", help="worker processes, `auto` for one on each core"
    )
    parser.add_argument("--task-queue", help="task queue to serve (default: TASK_QUEUE)")
    parser.add_argument(
        "--model-class",
        dest="model_classes",
        action="append",
        metavar="NAME",
        help="serve the queue of this class of models (models.toml) and nothing else; repeatable; "
        f"{NO_CLASS}: serve everything but the classes",
    )
    parser.add_argument(
        "--deployment", default="", metavar="NAME", help="the deployment that this is a build of (Worker Versioning)"
    )
    parser.add_argument(
        "--build-id", default="", metavar="ID", help="which build of it: the image's tag, or the commit"
    )
    parser.add_argument("--max-activities", type=between(1, MOST), default=200, help="activities at the same time")
    parser.add_argument(
        "--max-cached-workflows", type=between(0, MOST), default=CACHED_WORKFLOWS, help="runs kept in memory"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address for health and metrics")
    parser.add_argument("--health-port", type=between(0, HIGHEST), help="answer health checks over HTTP on this port")
    parser.add_argument(
        "--metrics-port", type=between(0, HIGHEST), help="serve Prometheus metrics on this port; 0: none"
    )
    parser.add_argument(
        "--replay",
        nargs="+",
        metavar="HISTORY",
        help="work on nothing: replay histories with this code (files, folders, ids of runs, or 'open') and leave",
    )
    return parser.parse_args()


def _pool(arguments: argparse.Namespace) -> Pool:
    passed = ["--max-activities", str(arguments.max_activities)]
    passed += ["--max-cached-workflows", str(arguments.max_cached_workflows)]
    passed += ["--task-queue", arguments.task_queue] if arguments.task_queue else []
    passed += [part for name in arguments.model_classes or () for part in ("--model-class", name)]
    passed += ["--deployment", arguments.deployment] if arguments.deployment else []
    passed += ["--build-id", arguments.build_id] if arguments.build_id else []
    return Pool(arguments.processes, passed, arguments.host, arguments.health_port, arguments.metrics_port or None)


def run_worker(
    *,
    workflows: Sequence[type],
    tools: Sequence[Tool] = (),
    activities: Sequence[Callable[..., Any]] = (),
    features: Sequence[Feature] = (),
    agents_dir: str | Path | None = None,
    settings: Settings | None = None,
    shared: Sequence[str] = (),
    task_queue: str = "",
    deployment: str = "",
    build_id: str = "",
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
        task_queue: The task queue to serve where `--task-queue` names none. Default: that of the settings (TASK_QUEUE).
        deployment: The deployment that this is a build of, where `--deployment` names none (docs/deploy.md). Default: that of the
            settings (TEMPORAL_DEPLOYMENT_NAME), and none where they have none: Worker Versioning is off.
        build_id: Which build. Default: that of the settings (TEMPORAL_WORKER_BUILD_ID).

    Example:
        ```python
        if __name__ == "__main__":
            run_worker(workflows=[Triage], tools=[page_oncall], agents_dir="agents")
        ```
    """
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise WorkerArgumentError(
            "run_worker is a whole process with an event loop of its own; within yours use "
            "'async with outlast.running_worker(client, …)'"
        )
    served = Served(tuple(workflows), tuple(tools), tuple(activities), tuple(features), tuple(shared), task_queue)
    arguments = _arguments()
    arguments.deployment, arguments.build_id = arguments.deployment or deployment, arguments.build_id or build_id
    code = _run(served, settings, agents_dir, arguments)
    flush()
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def _run(
    served: Served, settings: Settings | None, agents_dir: str | Path | None, arguments: argparse.Namespace
) -> int:
    memory.prepare()
    guard_process()
    # The sandbox imports workflow modules anew for every run: without bytecode files it compiles them every time.
    sys.dont_write_bytecode = False
    try:
        settings = with_agents(settings or load_settings(), agents_dir)
        settings = with_build(settings, arguments.deployment, arguments.build_id)
        log_to_stderr(settings.log_level, settings.log_format, sealed=settings.payload_keys is not None)
        check_workflows(served.workflows)
        check_tools(served.tools)
        check_activities(served.activities)
        alone = [name for name in arguments.model_classes or () if name != NO_CLASS]
        check_model_classes(alone, settings.model_table().classes)
        if arguments.replay:
            known = (*OWN_WORKFLOWS, *served.workflows)
            return asyncio.run(check(settings, arguments.replay, known, runner_of(settings, served.shared)))
        if arguments.processes > 1:
            return asyncio.run(_pool(arguments).run())
        asyncio.run(_serve(settings, arguments, served))
    except (SettingsError, WorkerArgumentError, PortError, ServerUnavailableError) as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201
        return 3 if isinstance(error, ServerUnavailableError) else 2
    return 0
