"""Workflow code sees each event in the workflow task in which every replay delivers it.

A worker that is asked something about a run it has not in memory reads the history of that run, which may hold more than the last
workflow task saw: an activity has ended, and the next task waits for a worker that was killed. The SDK (1.35) lets workflow
code handle that at once, and sends its commands with the next task. A message that comes before that task is delivered with it,
so before the activity's end in a replay; and it has the time, and the suggestion to continue as new, of a task that did not see
it. A run whose code decides otherwise for that stands still, for ever.

So what comes between two tasks is held until the next, as if the question had not been asked.
"""

from dataclasses import replace

from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

OF_NO_TASK = ("query_workflow", "remove_from_cache")
"""What the SDK asks of a run outside its tasks; it comes alone."""


class TaskOrderRunner(UnsandboxedWorkflowRunner):
    """Runs workflows, each in the order of its tasks; a sandbox takes it as its `runner_class`."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a new run."""
        return _TaskOrder(super().create_instance(det))


def in_task_order(runner: WorkflowRunner, kept_by: type[TaskOrderRunner] = TaskOrderRunner) -> WorkflowRunner:
    """Return a runner that keeps the order of tasks; one of somebody else's is left as it is."""
    if isinstance(runner, SandboxedWorkflowRunner):
        plain = runner.runner_class is UnsandboxedWorkflowRunner
        return replace(runner, runner_class=kept_by) if plain else runner
    return kept_by() if type(runner) is UnsandboxedWorkflowRunner else runner


class _TaskOrder(WorkflowInstance):
    """A run that holds back what history has had since its last workflow task."""

    def __init__(self, run: WorkflowInstance) -> None:
        self._run = run
        self._task = (0, 0, 0)
        self._length = 0
        self._behavior: int = 0
        self._held: list[WorkflowActivationJob] = []

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Handle what a workflow task brings; what none has brought yet waits for it."""
        if act.jobs and act.jobs[0].WhichOneof("variant") in OF_NO_TASK:
            return self._run.activate(act)
        # Each task has a time of its own, and a history that is larger than that of the task before, by its own events.
        task = (act.timestamp.seconds, act.timestamp.nanos, act.history_size_bytes)
        if task == self._task and act.history_size_bytes and act.history_length > self._length:
            self._held.extend(act.jobs)
            return self._nothing(act.run_id)
        self._task, self._length = task, act.history_length
        if self._held:
            jobs = [*self._held, *act.jobs]
            self._held.clear()
            del act.jobs[:]
            act.jobs.extend(jobs)
        completion = self._run.activate(act)
        self._behavior = completion.successful.versioning_behavior
        return completion

    def _nothing(self, run_id: str) -> WorkflowActivationCompletion:
        completion = WorkflowActivationCompletion(run_id=run_id)
        completion.successful.versioning_behavior = self._behavior  # type: ignore[assignment]  # an enum is a number here
        completion.successful.SetInParent()
        return completion

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        return self._run.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        return self._run.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._run.get_info()

    def get_thread_id(self) -> int | None:
        return self._run.get_thread_id()
