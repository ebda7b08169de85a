"""The workflows that the commands know: what starts them, how ids of their runs begin, and which page shows their result.

An application adds its own, without an import that a command's start would pay for:

    register_kind(RunKind("TriageWorkflow", command="triage", prefix="triage", page="triage.page:PAGE"))

A workflow that nobody registered has a page that shows whatever it returned.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

from outlast.forks import SESSION, STAGED

if TYPE_CHECKING:
    from outlast.cli.result_texts import Page, Reader
    from outlast.contracts import ChangingResult, RunRequest

__all__ = [
    "ANY_PAGE",
    "CONSENSUS",
    "DOCUMENTS",
    "PLAN",
    "REQUESTS",
    "RESEARCH",
    "ROLLBACK",
    "SESSION",
    "STAGED",
    "SYSTEM",
    "ResultPage",
    "RunKind",
    "kind_of",
    "kinds",
    "known",
    "page_of",
    "partial",
    "prefix_of",
    "queue_of",
    "register_kind",
    "request_of",
    "shared_in",
    "types_of",
    "worker_of",
]

PLAN = "PlanAndExecuteWorkflow"
DOCUMENTS = "DocumentAnalysisWorkflow"
RESEARCH = "ParallelResearchWorkflow"
ROLLBACK = "RollbackWorkflow"
CONSENSUS = "ConsensusAnalysisWorkflow"
REQUESTS = "RequestHandlingWorkflow"
SYSTEM = "temporal-sys-"
"""How the ids of Temporal's own workflows begin. A schedule is one: cancelled, it starts nothing any more."""


@dataclass(frozen=True)
class ResultPage:
    """What a workflow returns, and how that is read into a page."""

    result: type[Any]
    """What the result is decoded as."""
    read: "Callable[[Reader, Any], Awaitable[Page]]"
    """How it is read, its texts fetched."""


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
    request: str = ""
    """Its request as `module:name`: the HTTP API starts runs with it, and edits are checked by it; empty: neither."""

    def load_request(self) -> "type[RunRequest]":
        """Import what it is started with."""
        module, _, name = self.request.partition(":")
        request = reduce(getattr, name.split("."), import_module(module))
        assert isinstance(request, type), f"{self.request} is not a class"
        return request

    def load(self) -> ResultPage:
        """Import its page."""
        module, _, name = self.page.partition(":")
        page = getattr(import_module(module), name)
        assert isinstance(page, ResultPage), f"{self.page} is not a ResultPage"
        return page


ANY_PAGE = "outlast.cli.results.anything:PAGE"
_KINDS: dict[str, RunKind] = {}


def register_kind(kind: RunKind) -> None:
    """Let the commands know a workflow; the last one to register a name counts."""
    _KINDS[kind.workflow] = kind


register_kind(RunKind(ROLLBACK, "rollback", "rollback", "outlast.cli.results.rollbacks:PAGE"))


def kind_of(workflow: type, task_queue: str = "") -> RunKind:
    """Describe a workflow class: its name, and the request that its `run` takes. Raises ValueError for one that takes none."""
    from typing import get_type_hints

    from temporalio.workflow import _Definition

    from outlast.contracts import RunRequest

    definition = _Definition.from_class(workflow)
    run = getattr(workflow, "run", None)
    hints = [hint for name, hint in get_type_hints(run).items() if name != "return"] if run else []
    taken = next((hint for hint in hints if isinstance(hint, type) and issubclass(hint, RunRequest)), None)
    if definition is None or definition.name is None or taken is None:
        raise ValueError(f"{workflow.__name__}: it must have @workflow.defn, and a run that takes a RunRequest")
    name = definition.name
    command = name.removesuffix("Workflow").lower()
    request = f"{taken.__module__}:{taken.__qualname__}"
    return RunKind(name, command, command, ANY_PAGE, task_queue=task_queue, request=request)


def types_of(words: Iterable[str]) -> list[str]:
    """Return the workflow types that are meant: by the command that starts them, or by their own name."""
    types = {kind.command: kind.workflow for kind in _KINDS.values()}
    return [types.get(word, word) for word in words]


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


def request_of(workflow: str) -> str:
    """Return what a workflow is started with as `module:name`, or "" where that is not known."""
    return _KINDS[workflow].request if workflow in _KINDS else ""


def queue_of(workflow: str) -> str:
    """Return the task queue that its own workers serve, or "" where it has none."""
    return _KINDS[workflow].task_queue if workflow in _KINDS else ""


def worker_of(task_queue: str) -> str:
    """Return the command that starts a worker of a queue which belongs to one workflow, or "" where none does."""
    return next((kind.worker for kind in _KINDS.values() if kind.task_queue == task_queue), "")


def worker_elsewhere(workflow: str, task_queue: str) -> str:
    """Return the advice for a workflow with a queue of its own that was sent to another one, "" where it was not.

    A worker of that workflow alone must not be started there: it would fail the tasks of all others.
    """
    kind = _KINDS.get(workflow)
    if kind is None or not kind.worker or task_queue == kind.task_queue:
        return ""
    return (
        f"Start one that serves {workflow} beside what else runs there, or leave --task-queue out: '{kind.worker}' serves "
        f"it on {kind.task_queue!r}."
    )


def partial(error: BaseException, workflow: str) -> Any:
    """Return the result that a failed run of this workflow left in its failure, None if it left none."""
    from temporalio.exceptions import ApplicationError

    details = error.details if isinstance(error, ApplicationError) else ()
    if not details:
        return None
    if not known(workflow):
        return details[0] if shared_in(details[0]) else None
    try:
        return page_of(workflow).result.model_validate(details[0])
    except ValueError:
        return None


def shared_in(result: Any) -> "ChangingResult | None":
    """Read what every result of an AgentWorkflow has from one as JSON data; None where it is none."""
    from outlast.contracts import ChangingResult, RunState

    if not isinstance(result, dict) or "state" not in result:
        return None
    try:
        read = ChangingResult.model_validate(result)
    except ValueError:
        return None
    return read if read.state is not RunState.RUNNING else None
