"""`OutlastPlugin`: agents in a Temporal worker of your own, beside your own workflows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    Worker,
    WorkerConfig,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from outlast.client import Settings, extended_converter, has_our_converter, load_settings
from outlast.llm.base import LLM
from outlast.tools.tool import Tool
from outlast.worker.admission import Lag
from outlast.worker.arguments import (
    WorkerArgumentError,
    check_activities,
    check_tools,
    with_agents,
)
from outlast.worker.part import HEARTBEAT_THROTTLE, SLOTS, WorkerPart, part_of, tuner
from outlast.worker.registry import OWN_WORKFLOWS, Feature
from outlast.worker.sandbox import tolerate_load
from outlast.worker.task_order import TaskOrderRunner, in_task_order
from outlast.worker.versioning import VersionedRunner, check_unversioned, deployment_of, with_build

PASSED_THROUGH = ("outlast",)
"""Modules without state that the sandbox shares instead of importing them anew for each run; tests police them in a full one."""

PLUGIN_TIMEOUT = timedelta(seconds=60)
"""How long the SDK lets a plugin end after its worker has."""


class OutlastPlugin(SimplePlugin):
    """Brings agents into a worker of your own; your workflows and activities run as before.

    It goes to the client, and every worker of that client has it. It adds our activities, our `RollbackWorkflow`, what keeps
    calls from being paid twice (heartbeats from a thread, crash notes, admission by measured lag), the data converter (pydantic,
    size limit, redaction, encryption with PAYLOAD_KEYS), and `outlast` to the modules that the workflow sandbox shares. What is
    ours around activities stands around our activities alone.

    A `max_concurrent_activities` of the worker is kept; with a `tuner` of its own there is no admission by lag. The metrics
    of gates, `--processes` and the tuning for many runs come with `run_worker`.

    Example:
        ```python
        client = await Client.connect("localhost:7233", plugins=[OutlastPlugin(tools=[page_oncall], agents_dir="agents")])
        worker = Worker(client, task_queue="mine", workflows=[Theirs, Triage], activities=[theirs])
        await worker.run()
        ```

    Args:
        tools: Functions with `@tool`, beside the standard tools.
        activities: Activities that are waited for, noted and handed back after a crash as ours are.
        features: What brings activities that need the settings or the content store.
        agents_dir: The folder of the agents' files. Default: that of the settings.
        settings: Settings of one's own. Default: the environment and `.env`.
        llm: What answers the agents. Default: Claude, by the settings.
        deployment: The deployment that the worker is a build of (Worker Versioning). Default: that of the settings. A
            `deployment_config` of the worker is kept.
        build_id: Which build. Default: that of the settings.
        model_classes: The classes of models whose queues its workers serve beside their own. Default: all there are.

    Raises:
        WorkerArgumentError: A tool, an activity, a class, the folder or the build is wrong.
        SettingsError: A setting is wrong, or a data converter cannot be extended.
    """

    def __init__(
        self,
        *,
        tools: Sequence[Tool] = (),
        activities: Sequence[Callable[..., Any]] = (),
        features: Sequence[Feature] = (),
        agents_dir: str | Path | None = None,
        settings: Settings | None = None,
        llm: LLM | None = None,
        deployment: str = "",
        build_id: str = "",
        model_classes: Sequence[str] | None = None,
    ) -> None:
        check_tools(tools)
        check_activities(activities)
        self._settings = settings = with_build(
            with_agents(settings or load_settings(), agents_dir), deployment, build_id
        )
        self._tools, self._activities, self._features, self._llm = tools, activities, features, llm
        self._model_classes = model_classes
        super().__init__(
            "outlast",
            data_converter=self._extended,
            workflows=lambda theirs: [
                *(each for each in theirs or () if each not in OWN_WORKFLOWS),
                *OWN_WORKFLOWS,
            ],
            workflow_runner=_sharing,
        )

    def _extended(self, theirs: DataConverter | None) -> DataConverter:
        return extended_converter(
            theirs or DataConverter.default, self._settings.payload_limit_bytes, self._settings.payload_keys
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add what is ours to a worker; see the class."""
        if part_of(config) is not None:  # the worker of the spaced queue, or the plugin is given to client and worker
            return config
        if not has_our_converter(config["client"].config(active_config=True)["data_converter"]):
            raise WorkerArgumentError(
                "plugins: OutlastPlugin must be among those of the client, which converts the messages: "
                "Client.connect(…, plugins=[OutlastPlugin(…)])"
            )
        part = WorkerPart(self._settings, self._llm, self._tools, self._activities, self._features, self._model_classes)
        check_activities(config.get("activities") or (), part.registry.activities)
        config = super().configure_worker(config)
        config["activities"] = [*(config.get("activities") or ()), *part.registry.activities]
        config["interceptors"] = [*(config.get("interceptors") or ()), part]
        config["max_heartbeat_throttle_interval"] = min(
            config.get("max_heartbeat_throttle_interval", HEARTBEAT_THROTTLE), HEARTBEAT_THROTTLE
        )
        # An update of over 2 MB passes the server and is part of what the worker answers: the SDK's own check would fail
        # that task again and again. The server turns down the update alone; our converter checks what we send.
        config["disable_payload_error_limit"] = True
        config["graceful_shutdown_timeout"] = config.get("graceful_shutdown_timeout") or part.grace
        # The workers beside it stop with it, and have as long; the SDK gives a plugin a minute.
        cut_off = config.get("plugin_shutdown_timeout", PLUGIN_TIMEOUT)
        config["plugin_shutdown_timeout"] = max(cut_off, part.grace + PLUGIN_TIMEOUT) if cut_off else None
        return _admitting(_versioned(config, self._settings), part.lag)

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:  # noqa: A002 - the SDK's name
        """Run a worker, with what runs beside it."""
        part = part_of(worker.config(active_config=True))
        if part is None or part.running:
            await next(worker)
            return
        tolerate_load(worker)
        async with part.beside(worker.client, worker.task_queue, worker):
            await next(worker)


def _sharing(runner: WorkflowRunner | None) -> WorkflowRunner:
    """Share our modules in a sandbox; a subclass decides for itself, as that of our tests does, which polices them."""
    assert runner is not None
    if type(runner) is not SandboxedWorkflowRunner:
        return runner
    return replace(runner, restrictions=runner.restrictions.with_passthrough_modules(*PASSED_THROUGH))


def _versioned(config: WorkerConfig, settings: Settings) -> WorkerConfig:
    """Give a worker its build, let its workflow classes say which of their runs stay with it, and keep the order of tasks."""
    build = config.get("deployment_config") or deployment_of(settings)
    kept_by: type[TaskOrderRunner] = TaskOrderRunner
    if build is None or not build.use_worker_versioning:
        check_unversioned(config.get("workflows") or ())
    else:
        config["deployment_config"], kept_by = build, VersionedRunner
    config["workflow_runner"] = in_task_order(config["workflow_runner"], kept_by)
    if (outside := config.get("unsandboxed_workflow_runner")) is not None:
        config["unsandboxed_workflow_runner"] = in_task_order(outside, kept_by)
    return config


def _admitting(config: WorkerConfig, lag: Lag) -> WorkerConfig:
    """Let a worker without a tuner of its own take no activity while its event loop is late."""
    if config.get("tuner") is not None:
        return config
    config["tuner"] = tuner(
        lag,
        config.get("max_concurrent_activities") or SLOTS,
        config.get("max_concurrent_workflow_tasks") or SLOTS,
        config.get("max_concurrent_local_activities") or SLOTS,
        config.get("max_concurrent_nexus_tasks") or SLOTS,
    )
    config["max_concurrent_workflow_tasks"] = config["max_concurrent_activities"] = None
    config["max_concurrent_local_activities"] = config["max_concurrent_nexus_tasks"] = None
    return config
