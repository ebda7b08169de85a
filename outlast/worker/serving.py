"""`running_worker`: a worker tuned for many runs and long calls, within a program that has its own event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from outlast.client import Settings, has_our_converter, load_settings, missing_attributes
from outlast.llm.base import LLM
from outlast.plugin import PASSED_THROUGH, OutlastPlugin
from outlast.telemetry.gates import watch_gates
from outlast.tools.tool import Tool
from outlast.worker.arguments import WorkerArgumentError, check_limits, check_workflows, runs_in_thread
from outlast.worker.part import WorkerPart, part_of
from outlast.worker.registry import Feature
from outlast.worker.sandbox import SharingRunner

STICKY_TIMEOUT = timedelta(seconds=5)
"""How long a task waits for the worker that last held its run, before any other may take it. Whoever starts on the machine of a
worker that died ends that wait (`outlast.worker.crash_notes`); a busy worker is late at times, and a replay makes it later."""

EAGER_ACTIVITIES = 64
"""Activities of one workflow task that may start here without another round trip; the SDK's default is 3."""

WORKFLOW_TASKS = 16
"""Workflow tasks and queries at the same time. Most of each is waiting, for the server or for a local activity on a busy event
loop; with few of them, a question about one run waits behind the tasks of hundreds."""

WORKFLOW_POLLS = 4
"""Questions for workflow tasks at the same time; with more of them, a busy server only has more to answer."""

WORKFLOW_THREADS = 4
"""Threads that compute workflow tasks. More of them only keep the event loop waiting for its turn, and its heartbeats with it:
with the SDK's 100, runs that crowd in lost calls that were fine."""

CACHED_WORKFLOWS = 1000
"""Runs kept in memory between their tasks, as the SDK has it; with 0 every task replays its run from the beginning."""


def sandbox(*shared: str) -> SandboxedWorkflowRunner:
    """Return the SDK's sandbox for workflows; modules in `shared`, beside the library's, are not imported anew for each run."""
    return SandboxedWorkflowRunner(restrictions=_restrictions(*shared))


def _restrictions(*shared: str) -> SandboxRestrictions:
    return SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH, *shared)


def runner_of(settings: Settings, shared: Sequence[str] = ()) -> WorkflowRunner:
    """Return where a worker process runs workflow code: a sandbox that imports it once; none with WORKFLOW_SANDBOX=off."""
    return UnsandboxedWorkflowRunner() if settings.workflow_sandbox == "off" else SharingRunner(_restrictions(*shared))


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
    model_classes: Sequence[str] | None = None,
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
        model_classes: The classes of models whose queues it serves beside its own. Default: all there are.

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
        tools=tools,
        activities=activities,
        features=features,
        agents_dir=agents_dir,
        settings=settings,
        llm=llm,
        model_classes=model_classes,
    )
    check_workflows(workflows)
    check_limits(max_activities, max_cached_workflows)
    _check_client(client)
    threads = ThreadPoolExecutor(WORKFLOW_THREADS, thread_name_prefix="workflow-tasks")
    worker = Worker(
        client,
        task_queue=task_queue or settings.task_queue,
        workflows=workflows,
        plugins=[plugin],
        workflow_runner=workflow_runner or runner_of(settings, shared),
        activity_executor=ThreadPoolExecutor(max_activities) if any(map(runs_in_thread, activities)) else None,
        max_concurrent_activities=max_activities,
        workflow_task_executor=threads,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        max_concurrent_workflow_task_polls=WORKFLOW_POLLS,
        max_cached_workflows=max_cached_workflows,
        max_eager_activity_reservations_per_workflow_task=EAGER_ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
    )
    part = part_of(worker.config(active_config=True))
    assert part is not None
    try:
        async with worker, _watching(client, metrics):
            await part.ready.wait()  # what a dead worker ran is handed back by then
            yield worker
    finally:
        threads.shutdown(wait=False)


@asynccontextmanager
async def running_model_worker(
    client: Client, settings: Settings, task_queue: str, model_classes: Sequence[str]
) -> AsyncIterator[None]:
    """Make the calls to models of some classes, and nothing else, for runs of a task queue, while the block runs.

    Raises:
        WorkerArgumentError: There is no such class.
        SettingsError: A setting is wrong; the message names it.
    """
    _check_client(client)
    part = WorkerPart(settings, None, (), (), (), model_classes)
    async with part.beside(client, task_queue):
        yield


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
