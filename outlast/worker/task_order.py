"""Workflow code sees each event in the workflow task in which every replay delivers it.

A worker that is asked something about a run it has not in memory reads the history of that run, which may hold more than the last
workflow task saw: an activity has ended, and the next task waits for a worker that was killed. The SDK (1.35) lets workflow
code handle that at once, and sends its commands with the next task. A message that comes before that task is delivered with it,
so before the activity's end in a replay; and it has the time, and the suggestion to continue as new, of a task that did not see
it. A run whose code decides otherwise for that stands still, for ever.

So workflow code does not see what comes between two tasks. The question is answered as of the last task, and the run leaves the
worker's memory: the next task reads it from history, as a replay does. This builds on parts of the SDK that are not public;
tests/resilience/crashes/test_asked_between_tasks.py fails where they change.
"""

from dataclasses import replace

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

OF_NO_TASK = ("query_workflow", "remove_from_cache")
"""What the SDK asks of a run outside its tasks; it comes alone."""
EVICT = "outlast.evict"
"""Among the functions that a run has from outside the sandbox: takes the id of a run that is to leave the worker's memory."""


class TaskOrderRunner(UnsandboxedWorkflowRunner):
    """Runs workflows, each in the order of its tasks; a sandbox takes it as its `runner_class`."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a new run; in a replayer, which answers no questions, it is the SDK's own."""
        run = super().create_instance(det)
        return _TaskOrder(run, det) if EVICT in det.extern_functions else run


def in_task_order(runner: WorkflowRunner, kept_by: type[TaskOrderRunner] = TaskOrderRunner) -> WorkflowRunner:
    """Return a runner that keeps the order of tasks; one of somebody else's is left as it is."""
    if isinstance(runner, SandboxedWorkflowRunner):
        plain = runner.runner_class is UnsandboxedWorkflowRunner
        return replace(runner, runner_class=kept_by) if plain else runner
    return kept_by() if type(runner) is UnsandboxedWorkflowRunner else runner


def let_evict(worker: Worker) -> None:
    """Let runs of a worker leave its memory, which what keeps the order of tasks needs; called before it runs."""
    if worker._workflow_worker is not None:
        worker._workflow_worker._extern_functions[EVICT] = worker._bridge_worker.request_workflow_eviction


class _TaskOrder(WorkflowInstance):
    """A run that does not see what history has had since its last workflow task."""

    def __init__(self, run: WorkflowInstance, details: WorkflowInstanceDetails) -> None:
        self._run = run
        self._evict = details.extern_functions[EVICT]
        self._task = (0, 0, 0)
        self._length = 0
        self._behind = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Handle what a workflow task brings; for what none has brought yet, do nothing and ask to leave the memory."""
        if act.jobs and act.jobs[0].WhichOneof("variant") in OF_NO_TASK:
            return self._run.activate(act)
        # Each task has a time of its own, and a history that is larger than that of the task before, by its own events.
        task = (act.timestamp.seconds, act.timestamp.nanos, act.history_size_bytes)
        ahead = task == self._task and act.history_size_bytes > 0 and act.history_length > self._length
        if ahead or self._behind:
            self._behind = True
            return self._nothing(act, ahead=ahead)
        self._task, self._length = task, act.history_length
        return self._run.activate(act)

    def _nothing(self, act: WorkflowActivation, *, ahead: bool) -> WorkflowActivationCompletion:
        done = WorkflowActivationCompletion(run_id=act.run_id)
        if ahead:
            self._evict(act.run_id)
            done.successful.SetInParent()
        else:  # it has left the memory by then; if not, the server gives the task again, to a worker that reads all of history
            done.failed.failure.message = "the run has missed what came before this task"
        return done

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        return self._run.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        return self._run.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._run.get_info()

    def get_thread_id(self) -> int | None:
        return self._run.get_thread_id()
