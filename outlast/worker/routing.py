"""Which workers poll a task queue, and to which build the server gives a run: what "no worker" means with Worker Versioning."""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, VersioningBehavior, WorkerVersioningMode, WorkflowExecutionStatus
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue, TaskQueueVersioningInfo
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

FRESH = timedelta(seconds=75)
"""How recently a living worker has polled: a poll waits a minute for work."""


@dataclass(frozen=True)
class Build:
    """A build of a deployment; with two empty names, workers that have no build."""

    deployment: str = ""
    id: str = ""

    def __str__(self) -> str:
        return f"build {self.id!r} of deployment {self.deployment!r}" if self.id else "a worker without a build"

    @property
    def options(self) -> str:
        """The options that start a worker of it."""
        return f"--deployment {shlex.quote(self.deployment)} --build-id {shlex.quote(self.id)}"

    @property
    def named(self) -> str:
        """The options that name it to Temporal's command line."""
        return f"--deployment-name {shlex.quote(self.deployment)} --build-id {shlex.quote(self.id)}"


UNVERSIONED = Build()


@dataclass(frozen=True)
class Served:
    """Who polls a task queue, and where its runs go."""

    task_queue: str
    workers: tuple[tuple[str, Build], ...]
    """Those that have polled lately, each as `pid@host` with its build."""
    routed: frozenset[Build]
    """The builds that new runs go to, and those that move to each new build: the current one, and one that is ramped up."""

    @property
    def builds(self) -> frozenset[Build]:
        """The builds of its workers."""
        return frozenset(build for _, build in self.workers)

    def takers(self, run: WorkflowExecutionInfo | None = None) -> frozenset[Build]:
        """Return the builds that the server may give a run to; without one, a run that is started now."""
        pinned = _pinned(run) if run is not None else None
        return self.routed if pinned is None else frozenset({pinned})

    def serves(self, run: WorkflowExecutionInfo | None = None) -> bool:
        """Whether a worker polls that may take a run."""
        return bool(self.builds & self.takers(run))

    def lacks(self, run: WorkflowExecutionInfo | None = None) -> tuple[str, str] | None:
        """Say which build is missing where none may take a run, and what to do; None where that is any worker."""
        pinned = _pinned(run) if run is not None else None
        missing = min(self.takers(run), key=str)
        others = sorted(str(build) for build in self.builds if build.id)
        there = f" ({' and '.join(others)} {'does' if len(others) == 1 else 'do'})" if others else ""
        if missing == UNVERSIONED:
            if not others:
                return None
            verb = "is" if len(others) == 1 else "are"
            first = min((build for build in self.builds if build.id), key=str)
            return (
                f"no worker serves task queue {self.task_queue!r} that runs may go to: {' and '.join(others)} {verb} not current",
                f"Make one current: temporal worker deployment set-current-version {first.named}",
            )
        lacks = f"no worker of {missing} serves task queue {self.task_queue!r}{there}"
        start = f"start a worker with {missing.options}"
        if run is None or pinned is None:
            return lacks, f"That is the current one: {start}, or make another current."
        stays = f"The run is pinned to that build: {start}"
        if run.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING:
            return lacks, stays
        move = "temporal workflow update-options --versioning-override-behavior auto_upgrade --workflow-id"
        named = shlex.quote(run.execution.workflow_id)
        return lacks, f"{stays}; or move it to the current one, if it replays there: {move} {named}"


async def served_by(client: Client, task_queue: str) -> Served:
    """Ask the server who polls a task queue, and which of its builds are current."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    answer = await client.workflow_service.describe_task_queue(request)
    oldest = datetime.now(UTC) - FRESH
    fresh = [each for each in answer.pollers if each.last_access_time.ToDatetime(UTC) > oldest]
    workers = tuple((each.identity, _of(each)) for each in fresh)
    return Served(task_queue, workers, routed(answer.versioning_info))


def _of(poller: PollerInfo) -> Build:
    options = poller.deployment_options
    if options.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED:
        return UNVERSIONED
    return Build(options.deployment_name, options.build_id)


def routed(info: TaskQueueVersioningInfo) -> frozenset[Build]:
    """Return the builds that a task queue sends new runs to."""
    current, ramping = _build(info.current_deployment_version), _build(info.ramping_deployment_version)
    if info.ramping_version_percentage >= 100:
        return frozenset({ramping})
    return frozenset({current, ramping} if info.ramping_version_percentage > 0 else {current})


def _pinned(run: WorkflowExecutionInfo) -> Build | None:
    """Return the one build that a run may go to, None where that is up to its task queue."""
    info = run.versioning_info
    override = info.versioning_override
    if override.auto_upgrade:
        return None
    if override.HasField("one_time"):
        return _build(override.one_time.target_deployment_version)
    if override.HasField("pinned"):
        return _build(override.pinned.version)
    if info.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        return _build(info.deployment_version)
    return None


def _build(version: WorkerDeploymentVersion) -> Build:
    return Build(version.deployment_name, version.build_id)
