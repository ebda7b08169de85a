"""The workflows that the commands know: what starts them, how ids of their runs begin, and which page shows their result.

An application adds its own, without an import that a command's start would pay for:

    register_kind(RunKind("TriageWorkflow", command="triage", prefix="triage", page="triage.page:PAGE"))

A workflow that nobody registered has a page that shows whatever it returned.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.cli.result_texts import Page, Reader

PLAN = "PlanAndExecuteWorkflow"
DOCUMENTS = "DocumentAnalysisWorkflow"
RESEARCH = "ParallelResearchWorkflow"
ROLLBACK = "RollbackWorkflow"
SESSION = "AgentSessionWorkflow"
CONSENSUS = "ConsensusAnalysisWorkflow"
REQUESTS = "RequestHandlingWorkflow"
STAGED = "StagedDeliveryWorkflow"


@dataclass(frozen=True)
class ResultPage:
    """What a workflow returns, and how that is read into a page."""

    result: "type[BaseModel]"
    read: "Callable[[Reader, Any], Awaitable[Page]]"


@dataclass(frozen=True)
class RunKind:
    """One workflow, by the name that the server knows it by."""

    workflow: str
    command: str
    """The word that starts it, for `list --type`."""
    prefix: str
    """How ids of its runs begin where none was given."""
    page: str
    """Its `ResultPage` as `module:name`, imported when a result is shown."""
    task_queue: str = ""
    """Where its own workers work; empty where it has none, and the queue is that of TASK_QUEUE."""
    worker: str = ""
    """The command that starts such a worker, for advice."""

    def load(self) -> ResultPage:
        """Import its page."""
        module, _, name = self.page.partition(":")
        page = getattr(import_module(module), name)
        assert isinstance(page, ResultPage), f"{self.page} is no ResultPage"
        return page


ANY_PAGE = "outlast.cli.results.anything:PAGE"
_KINDS: dict[str, RunKind] = {}


def register_kind(kind: RunKind) -> None:
    """Let the commands know a workflow; the last one to register a name counts."""
    _KINDS[kind.workflow] = kind


register_kind(RunKind(ROLLBACK, "rollback", "rollback", "outlast.cli.results.rollbacks:PAGE"))


def kinds() -> tuple[RunKind, ...]:
    """Return all that were registered, by name."""
    return tuple(sorted(_KINDS.values(), key=lambda kind: kind.workflow))


def known(workflow: str) -> bool:
    """Whether a workflow was registered."""
    return workflow in _KINDS


def page_of(workflow: str) -> ResultPage:
    """Return the page of a workflow's results; one that shows anything, where none was registered."""
    return (_KINDS.get(workflow) or RunKind(workflow, "", "run", ANY_PAGE)).load()


def prefix_of(workflow: str) -> str:
    """Return how ids of its runs begin."""
    return _KINDS[workflow].prefix if workflow in _KINDS else "run"


def queue_of(workflow: str) -> str:
    """Return the task queue that its own workers serve, or "" where it has none."""
    return _KINDS[workflow].task_queue if workflow in _KINDS else ""


def worker_of(task_queue: str) -> str:
    """Return the command that starts a worker of a queue which belongs to one workflow, or "" where none does."""
    return next((kind.worker for kind in _KINDS.values() if kind.task_queue == task_queue), "")


def partial(error: BaseException, workflow: str) -> "BaseModel | None":
    """Return the result that a failed run of this workflow left in its failure, if it did."""
    from temporalio.exceptions import ApplicationError

    details = error.details if isinstance(error, ApplicationError) else ()
    try:
        return page_of(workflow).result.model_validate(details[0])
    except (ValueError, IndexError):
        return None
