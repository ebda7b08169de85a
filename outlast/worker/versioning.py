"""Worker Versioning: which build of a deployment a worker is, and which runs stay with it.

A worker without a build leaves a class's behavior unsaid, because the server refuses every task that says one there. That is
why it stands in a class attribute, and not in `@workflow.defn`.
"""

from collections.abc import Iterable
from dataclasses import replace

from temporalio import workflow
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig, WorkflowInstance, WorkflowInstanceDetails

from outlast.settings import Settings
from outlast.settings.processes import build_id, deployment_name
from outlast.worker.arguments import WorkerArgumentError
from outlast.worker.task_order import TaskOrderRunner


class VersionedRunner(TaskOrderRunner):
    """Runs workflows of a worker that has a build: a class's `versioning_behavior` counts as if its decorator said it."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Make an instance that reports the behavior of its class with each task."""
        wanted = getattr(det.defn.cls, "versioning_behavior", None)
        if isinstance(wanted, VersioningBehavior) and not det.defn.versioning_behavior:
            det = replace(det, defn=replace(det.defn, versioning_behavior=wanted))
        return super().create_instance(det)


def with_build(settings: Settings, deployment: str, build: str) -> Settings:
    """Return the settings with another build, where one is given.

    Raises:
        WorkerArgumentError: One is given without the other, or the server would refuse its name.
    """
    if not (deployment or build):
        return settings
    deployment = deployment or settings.temporal_deployment_name
    build = build or settings.temporal_worker_build_id
    try:
        named = {
            "temporal_deployment_name": deployment_name(deployment),
            "temporal_worker_build_id": build_id(build, deployment),
        }
    except ValueError as error:
        raise WorkerArgumentError(f"deployment={deployment!r}, build_id={build!r}: {error}") from None
    return settings.model_copy(update=named)


def deployment_of(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return the build of a worker by its settings, None where it has none.

    Runs of classes that say nothing are pinned: code that nobody has tested against old runs must not take them over.
    """
    if not settings.temporal_deployment_name:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.temporal_deployment_name, settings.temporal_worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def check_unversioned(workflows: Iterable[type]) -> None:
    """Check the workflow classes of a worker without a build.

    Raises:
        WorkerArgumentError: The decorator of one says its behavior, and the server would refuse each of its tasks, forever.
    """
    for each in workflows:
        definition = workflow._Definition.from_class(each)
        if definition is not None and definition.versioning_behavior:
            raise WorkerArgumentError(
                f"workflows: @workflow.defn of {each.__qualname__} has a versioning_behavior, which the server refuses from a "
                "worker without a build; start it with --deployment and --build-id, or say it in a class attribute: "
                f"versioning_behavior = VersioningBehavior.{definition.versioning_behavior.name}"
            )
