"""Workflow code handles what comes in the order in which every replay delivers it.

A worker that is asked something about a run it has not in memory reads the history of that run, which may hold more than the last
workflow task saw: an activity has ended, and the next task waits for a worker that was killed. The SDK (1.35) lets workflow
code handle that at once, ahead of its task, and sends the commands with the next task. A message that comes before that task is
handled after it then, but before it in a replay, and a run whose code decides otherwise for that stands still, for ever.

So what brings messages to a run that is ahead is given back: the task fails, the run leaves the worker's memory, and the server
gives the task again, with all of history. Where another query brings them, that query fails. What stays as the SDK has it: a
worker that is asked while another one is at the task, and then loses it.

This builds on parts of the SDK that are not public; tests/resilience/crashes/test_asked_between_tasks.py fails where they change.
"""

from dataclasses import replace

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

OF_NO_TASK = ("query_workflow", "remove_from_cache")
"""What the SDK asks of a run outside its tasks; it comes alone."""
MESSAGES = ("signal_workflow", "do_update")
"""What is handled before everything else that comes with the same task."""

GIVEN_BACK = "a query let the run see what came after messages that it had not seen yet; it reads its history again"


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
    """A run that knows whether it is ahead of its last workflow task."""

    def __init__(self, run: WorkflowInstance) -> None:
        self._run = run
        self._task = (0, 0)
        self._length = 0
        self._ahead = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Handle what a workflow task brings, or give it back."""
        kinds = [job.WhichOneof("variant") for job in act.jobs]
        if kinds and kinds[0] in OF_NO_TASK:
            return self._run.activate(act)
        if self._ahead and any(kind in MESSAGES for kind in kinds):
            given_back = WorkflowActivationCompletion(run_id=act.run_id)
            given_back.failed.failure.message = GIVEN_BACK
            return given_back
        # Each task has a time of its own; what lies beyond the last one comes with the time of that one, as a longer history.
        task = (act.timestamp.seconds, act.timestamp.nanos)
        self._ahead = task == self._task and (self._ahead or act.history_length > self._length)
        self._task, self._length = task, act.history_length
        return self._run.activate(act)

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        return self._run.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        return self._run.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._run.get_info()

    def get_thread_id(self) -> int | None:
        return self._run.get_thread_id()
