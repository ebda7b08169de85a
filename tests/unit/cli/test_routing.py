"""Which builds may take a run, as the server tells of the run and of its task queue."""

import pytest
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior, WorkflowExecutionStatus
from temporalio.api.taskqueue.v1 import TaskQueueVersioningInfo
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionInfo, WorkflowExecutionVersioningInfo

from outlast.worker.routing import UNVERSIONED, Build, Served, routed

OLD, NEW = Build("agents", "1.0"), Build("agents", "2.0")
PINNED, MOVES = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED, VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE


def version(build: Build) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name=build.deployment, build_id=build.id)


def run(behavior: "VersioningBehavior.ValueType", override: VersioningOverride | None = None) -> WorkflowExecutionInfo:
    info = WorkflowExecutionVersioningInfo(
        behavior=behavior, deployment_version=version(OLD), versioning_override=override
    )
    return WorkflowExecutionInfo(versioning_info=info, status=WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING)


def pinned_to(build: Build) -> VersioningOverride:
    return VersioningOverride(pinned=VersioningOverride.PinnedOverride(version=version(build)))


@pytest.mark.parametrize(
    ("asked", "takers"),
    [
        (None, {NEW}),
        (WorkflowExecutionInfo(), {NEW}),  # begun before there were builds
        (run(PINNED), {OLD}),
        (run(MOVES), {NEW}),
        (run(PINNED, VersioningOverride(auto_upgrade=True)), {NEW}),
        (run(MOVES, pinned_to(OLD)), {OLD}),
        (run(PINNED, pinned_to(NEW)), {NEW}),
    ],
)
def test_a_run_goes_to_its_build_or_to_the_current_one(asked: WorkflowExecutionInfo | None, takers: set[Build]) -> None:
    served = Served("q", (("1@host", OLD), ("2@host", UNVERSIONED)), frozenset({NEW}))
    assert served.takers(asked) == takers
    assert served.serves(asked) == (takers == {OLD})


@pytest.mark.parametrize(
    ("percentage", "builds"), [(0.0, {OLD}), (10.0, {OLD, NEW}), (100.0, {NEW})]
)  # fmt: skip
def test_a_build_that_is_ramped_up_gets_runs_too(percentage: float, builds: set[Build]) -> None:
    info = TaskQueueVersioningInfo(
        current_deployment_version=version(OLD),
        ramping_deployment_version=version(NEW),
        ramping_version_percentage=percentage,
    )
    assert routed(info) == builds
    assert routed(TaskQueueVersioningInfo()) == {UNVERSIONED}


def test_where_no_build_is_in_use_any_worker_is_missing() -> None:
    assert Served("q", (), frozenset({UNVERSIONED})).lacks() is None
