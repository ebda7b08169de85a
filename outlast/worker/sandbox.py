"""The workflow sandbox of worker processes: workflow code is imported once, not anew for each run.

What workflow code may not do is refused as in the SDK's own sandbox: its restrictions hold while a run computes. Given up is
that each run has a copy of the workflow's module for itself: what a module keeps in a global variable, the next run sees, as in
any other program. Tests (`outlast.testing`, and those of this project) import it anew, so that such state shows there.

Importing it anew was a seventh of all that a worker computes for a run of six steps, entering the sandbox for each payload an
eighth. This builds on parts of the SDK that are not public; tests/workflow/base/test_sandbox.py fails where they change.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import (
    Replayer,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowReplayResult,
    _replayer,
)
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext
from temporalio.worker.workflow_sandbox._runner import _Instance

STALL = 8.0
"""Seconds for which workflow code may compute at a stretch; the server gives a workflow task 10 by default."""


class _Threads(RestrictionContext):
    """Whether restrictions are in force, for each thread: runs that share imported code compute in several threads at once."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @property
    def is_runtime(self) -> bool:
        """Whether this thread runs workflow code, rather than importing it."""
        return getattr(self._of_thread, "is_runtime", False)

    @is_runtime.setter
    def is_runtime(self, value: bool) -> None:
        self._of_thread.is_runtime = value

    @property
    def in_activation(self) -> bool:
        """Whether this thread handles an activation of a run."""
        return getattr(self._of_thread, "in_activation", False)

    @in_activation.setter
    def in_activation(self, value: bool) -> None:
        self._of_thread.in_activation = value


@lru_cache
def _compiled(code: str) -> CodeType:
    return compile(code, "workflow_sandbox.py", "exec")


@dataclass(frozen=True)
class _Imported:
    """The code of one workflow class, imported in the sandbox."""

    importer: Importer
    names: dict[str, Any]


class _SharingInstance(_Instance):
    """A run in the sandbox, whose code an earlier run of its class may have imported already."""

    def __init__(self, details: WorkflowInstanceDetails, runner: "SharingRunner") -> None:
        self.instance_details = details
        self.runner_class = runner.runner_class
        self._current_thread_id = None
        self.globals_and_locals = {"__file__": "workflow_sandbox.py"}
        known = runner.imported.get(details.defn.cls)
        if known is not None:
            self.importer = known.importer
            self.globals_and_locals.update(known.names)
            self._begin()
            return
        self.importer = Importer(runner.restrictions, _Threads(), self._workflow_module_name())
        self._create_instance()
        names = ("__temporal_workflow_class", "__temporal_runner_class", "InSandbox")
        runner.imported[details.defn.cls] = _Imported(
            self.importer, {name: self.globals_and_locals[name] for name in names}
        )

    def _begin(self) -> None:
        self.importer.restriction_context.is_runtime = True
        try:
            self._run_code(
                "with __temporal_importer.applied():\n"
                "  __temporal_in_sandbox = InSandbox(\n"
                "    __temporal_details, __temporal_runner_class, __temporal_workflow_class)\n",
                __temporal_importer=self.importer,
                __temporal_details=self.instance_details,
            )
        finally:
            self.importer.restriction_context.is_runtime = False

    def _run_code(self, code: str, **extra_globals: Any) -> None:
        super()._run_code(_compiled(code), **extra_globals)  # type: ignore[arg-type]  # what exec takes as well

    # The SDK asks both for every payload. They read what the run has recorded and touch no code of the workflow, so the sandbox
    # need not be entered for them, which costs more than everything else that is done with a payload.

    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        context: SerializationContext | None = self._run.get_serialization_context(command_info)
        return context

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        context: StorageDriverStoreContext = self._run.get_external_store_context(command_info)
        return context

    @property
    def _run(self) -> Any:
        return self.globals_and_locals["__temporal_in_sandbox"]


@dataclass(frozen=True)
class SharingRunner(SandboxedWorkflowRunner):
    """Runs workflows in the sandbox; a class's module is imported for its first run, for all that follow."""

    imported: dict[type, _Imported] = field(default_factory=dict, init=False, compare=False, repr=False)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a new run; called one after the other, by the worker's event loop."""
        return _SharingInstance(det, self)


def tolerate_load(worker: Worker) -> None:
    """Give workflow code STALL seconds to compute at a stretch, where the SDK takes it for stuck after 2.

    On a machine with more to do than it can, a task that starts thousands of steps or replays a long history needs more than 2.
    It would fail, be replayed from its beginning, and fail again.
    """
    _tolerate_load(worker._workflow_worker)


def _tolerate_load(workflows: Any) -> None:
    if workflows is not None and workflows._deadlock_timeout_seconds is not None:  # None: the debug mode has no bound
        workflows._deadlock_timeout_seconds = STALL


_replaying: Any = _replayer


class _TolerantWorker(_replaying._WorkflowWorker):  # type: ignore[misc]  # not public
    """What a replayer runs workflow code by."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        _tolerate_load(self)


class TolerantReplayer(Replayer):
    """Replays histories; workflow code may compute for as long as in a worker of ours, whose machine may be as busy."""

    @asynccontextmanager
    async def _workflow_replay_iterator(
        self, histories: AsyncIterator[WorkflowHistory]
    ) -> AsyncIterator[AsyncIterator[WorkflowReplayResult]]:
        replay: Any = super()._workflow_replay_iterator
        async with AsyncExitStack() as stack:
            made = _replaying._WorkflowWorker
            _replaying._WorkflowWorker = _TolerantWorker  # it is made within, and handed to nobody
            try:
                results = await stack.enter_async_context(replay(histories))
            finally:
                _replaying._WorkflowWorker = made
            yield results
