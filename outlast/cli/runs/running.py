"""Starting a run or attaching to the one of that id, waiting for it, and showing what it gave.

The same `--id` given twice must never pay twice. The server refuses the second start, and the answer to that depends on whether
the first still runs.
"""

import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from outlast.cli import rendering as pages
from outlast.cli.kinds import known, page_of, partial, prefix_of, queue_of
from outlast.cli.leaving import FAILED, WRONG, LeavingError, cause_of, say
from outlast.cli.printing import plain, print_json
from outlast.cli.reaching import Reach, word
from outlast.cli.results import Page, Reader, without_tools
from outlast.cli.results.anything import AnyPage
from outlast.cli.runs.changes_page import change_lines, changes_of, left_behind
from outlast.cli.runs.class_queues import waits_of
from outlast.cli.runs.described import described, described_page
from outlast.cli.runs.waiting import may_be_left, result_of
from outlast.client import missing_attributes
from outlast.command_line import command
from outlast.contracts import BudgetShown, Changes, RunResult, RunState, RunStatus

Handle = WorkflowHandle[Any, Any]


async def start(
    reach: Reach,
    workflow: str,
    request: BaseModel,
    *,
    workflow_id: str | None,
    summary: str,
    detach: bool,
    task_queue: str | None = None,
    priority: Priority = Priority.default,
    delay: timedelta | None = None,
) -> tuple[Handle, bool] | None:
    """Start a run, or attach to the one of that id; returns its handle and whether it was there before.

    Without `task_queue` it goes to the workers of its own, or to those of TASK_QUEUE where the workflow has none. Returns None
    where somebody else takes the start, a schedule for one.
    """
    if workflow_id == "":
        raise LeavingError(WRONG, "--id is empty; name the run, or leave --id out")
    reach.store()  # a store that cannot be opened must not be found out after the run was paid
    queue = task_queue or queue_of(workflow) or reach.settings.task_queue
    if not await (reach.served(queue) if detach or delay else reach.served_soon(queue)):
        if not (detach or delay):
            raise await reach.no_worker(queue, "nothing was started", workflow)
        lacks, advice = await reach.lacking(queue, workflow)
        say(f"{lacks}; the run waits for one. {advice}")
    try:
        handle = await _beginning.get()(
            reach,
            workflow,
            request,
            workflow_id=workflow_id,
            summary=summary,
            queue=queue,
            priority=priority,
            delay=delay,
        )
    except WorkflowAlreadyStartedError as error:
        return await attached(reach, workflow, error.workflow_id), True
    if handle is None:
        return None
    begun = f"{handle.id} begins at {pages.local_time(datetime.now(UTC) + delay)}" if delay else f"started {handle.id}"
    say(begun + _where(reach, handle.id))
    return handle, False


async def begin(
    reach: Reach,
    workflow: str,
    request: BaseModel,
    *,
    workflow_id: str | None = None,
    summary: str = "",
    queue: str,
    priority: Priority = Priority.default,
    memo: Mapping[str, Any] | None = None,
    delay: timedelta | None = None,
) -> Handle:
    """Start a run, with an id of its own where none is given; raises WorkflowAlreadyStartedError where one has that id."""
    return await reach.client.start_workflow(
        workflow,
        request,
        id=workflow_id or f"{prefix_of(workflow)}-{secrets.token_hex(4)}",
        task_queue=queue,
        result_type=page_of(workflow).result,
        priority=priority,
        start_delay=delay,
        memo=memo,
        static_summary=summary[:200] or None,
        search_attributes=await marks(reach, workflow),
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )


Begin = Callable[..., Awaitable[Handle | None]]
_beginning: ContextVar[Begin] = ContextVar("beginning", default=begin)


@contextmanager
def taking_starts(take: Begin) -> Iterator[None]:
    """Let `take`, which is called as `begin` is and returns None, have what would be started in this block."""
    token = _beginning.set(take)
    try:
        yield
    finally:
        _beginning.reset(token)


async def marks(reach: Reach, workflow: str) -> TypedSearchAttributes:
    """Return what a run is found by in the Web UI; it keeps them up to date itself, because it was started with them."""
    if await missing_attributes(reach.client) != []:
        return TypedSearchAttributes.empty
    pattern, state = SearchAttributeKey.for_keyword("AgentPattern"), SearchAttributeKey.for_keyword("AgentState")
    return TypedSearchAttributes(
        [
            SearchAttributePair(pattern, workflow.removesuffix("Workflow")),
            SearchAttributePair(state, str(RunState.RUNNING)),
        ]
    )


async def attached(reach: Reach, workflow: str, workflow_id: str) -> Handle:
    """Return the handle of the run that goes under this id; raises LeavingError where it has ended or is another workflow's."""
    found = await reach.find(workflow_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        ended = f"run {workflow_id!r} has ended already ({word(found.status)})"
        raise LeavingError(WRONG, f"{ended}: see: {command('result', workflow_id)}, or choose another --id")
    if found.workflow_type != workflow:
        raise LeavingError(WRONG, f"id {workflow_id!r} belongs to a running {found.workflow_type}; choose another --id")
    say(
        f"attached to {workflow_id}, which is already going with the input it was started with"
        + _where(reach, workflow_id)
    )
    return reach.client.get_workflow_handle(workflow_id, run_id=found.run_id, result_type=page_of(workflow).result)


def _where(reach: Reach, workflow_id: str) -> str:
    page = reach.page_of(workflow_id)
    return f" · {page}" if page else ""


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended, with its texts: `data` is the typed result as JSON, `error` why it failed."""

    id: str
    result: Any
    page: Page | None
    data: str
    error: WorkflowFailureError | None

    @property
    def budget(self) -> BudgetShown | None:
        """How it stands with its budget."""
        return self.result.budget if isinstance(self.result, RunResult) else None

    @property
    def tools_missing(self) -> Sequence[str]:
        """The tools that its agents lacked."""
        return self.result.tools_missing if isinstance(self.result, RunResult) else ()

    @property
    def changes(self) -> Changes:
        """What its tools changed."""
        if self.result is not None:
            return changes_of(self.result, self.page)
        return left_behind(self.error.cause if self.error else None)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        data = self.page.data() if self.page else {"state": "failed"}
        data |= {"data": json.loads(self.data)} if self.data else {}
        data |= {"tools_missing": list(self.tools_missing)} if self.tools_missing else {}
        data |= {"budget": plain(self.budget)} if self.budget else {}
        data |= {"changed": plain(self.changes)} if self.changes.changes or self.changes.forgotten else {}
        return {"id": self.id, **data, **({"error": cause_of(self.error)} if self.error else {})}


async def read_ended(
    reach: Reach, workflow_id: str, workflow: str, result: Any, error: WorkflowFailureError | None
) -> EndedRun:
    """Fetch the texts of a result; raises LeavingError where they cannot be read, unless the run failed anyway."""
    page, data = None, ""
    with suppress(LeavingError) if error else nullcontext():  # the cause of a failure is shown, readable page or not
        if result is not None:
            reader = Reader(reach.store(), reach.settings, workflow_id)
            page = await page_of(workflow).read(reader, result)
            data = await reader.text(result.data) if isinstance(result, RunResult) and result.data else ""
    if isinstance(page, AnyPage):
        # A workflow of others may well return a `state` of its own, {"state": "failed"} of a payment say.
        if page.shared and not await reach.is_agent_run(await reach.find(workflow_id, ours=False)):
            page = replace(page, shared=None)
        result = page.shared
    return EndedRun(workflow_id, result, page, data, error)


async def finish(reach: Reach, handle: Handle, workflow: str, *, as_json: bool) -> None:
    """Wait for a run and show its result; raises LeavingError with the cause, in one line, if it failed.

    What a workflow of others returned is shown with what the server knows of the run.
    """
    with may_be_left(handle.id), _progress() as seen:
        try:
            result, error = await result_of(handle, seen=seen, waits=lambda: waits_of(reach, handle.id)), None
        except WorkflowFailureError as failure:
            result, error = partial(failure.cause, workflow), failure
    ended = await read_ended(reach, handle.id, workflow, result, error)
    page, result = ended.page, ended.result
    if result is None and not known(workflow):
        await _show_foreign(reach, handle.id, page, error, as_json=as_json)
        return
    if as_json:
        print_json(ended.as_json())
    else:
        shown = [*page.lines(), *_data_lines(ended.data), *pages.budget_lines(ended.budget)] if page is not None else []
        pages.show([*shown, *pages.missing_tools(ended.tools_missing), *change_lines(ended.changes)])
    complaint = cause_of(error) if error else (page.complaint if page else "") or without_tools(result)
    if complaint:
        raise LeavingError(FAILED, complaint)


async def _show_foreign(
    reach: Reach, workflow_id: str, page: Page | None, failure: WorkflowFailureError | None, *, as_json: bool
) -> None:
    data = described(await reach.find(workflow_id, ours=False))
    if as_json:
        result = page.value if isinstance(page, AnyPage) else None
        print_json({**data, "result": result, **({"error": cause_of(failure)} if failure else {})})
    else:
        changes = change_lines(left_behind(failure.cause if failure else None))
        pages.show([*(page.lines() if page else []), *changes, *described_page(data)])
    if failure:
        raise LeavingError(FAILED, cause_of(failure))


def _data_lines(data: str) -> list[RenderableType]:
    """Show the result as the JSON that its run was asked for."""
    return [Text(), Text(pages.safe(json.dumps(json.loads(data), indent=2, ensure_ascii=False)))] if data else []


class _Progress:
    """A live step table on stderr."""

    def __init__(self) -> None:
        self._console = pages.console(stderr=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def __enter__(self) -> "_Progress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, status: RunStatus) -> None:
        self._live.update(pages.status_page(status, height=self._console.height - 4), refresh=True)


def _progress() -> AbstractContextManager[_Progress | None]:
    return _Progress() if sys.stderr.isatty() else nullcontext()
