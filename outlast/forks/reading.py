"""Reads all of an earlier run that a fork of it needs: what it was asked, its steps and their outcomes, what it changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from outlast.contracts import Change, ChangeState, Fork, Plan, RunStatus, StepOutcome, StepOutcomes
from outlast.errors import ErrorKind, kind_of
from outlast.forks.failing import wrong_input_of
from outlast.storage.activities import ContentStore
from outlast.tracing.rows import with_all

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
QUERY_SECONDS = 30.0
"""How long a worker may take to read an ended run's history anew and to answer."""
CHECKS_AT_ONCE = 16
STANDING = (ChangeState.DONE, ChangeState.REGISTERED, ChangeState.UNDO_FAILED, ChangeState.NOT_UNDOABLE)
NO_ANSWER = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION)


class ForkError(Exception):
    """A run cannot be forked, or not like this; the message says why and what to do."""


class NoRunError(ForkError):
    """There is no such run (any more)."""


class NoWorkerAnswersError(ForkError):
    """Only a worker knows what a run came to, and none answers."""


@dataclass(frozen=True)
class Made:
    """A change, and the workflow id of the run that made it."""

    run: str
    change: Change

    def __str__(self) -> str:
        return f"step {self.step} called {self.change.tool}({self.change.arguments}): {self.change.state}"

    @property
    def step(self) -> str:
        """The step whose tool made it."""
        return self.change.step

    @property
    def stands(self) -> bool:
        """Whether it is in the world, or may be."""
        return self.change.state in STANDING


@dataclass(frozen=True)
class EarlierRun:
    """A run as a fork of it sees it; `request` is what it was started with, as JSON data, `plan` its plan if it has one.

    `changes` are read apart from the rest, by `changes.with_changes`.
    """

    found: WorkflowExecutionDescription
    request: Mapping[str, Any]
    status: RunStatus
    outcomes: tuple[StepOutcome, ...]
    plan: Plan | None = None
    progress: Mapping[str, Any] | None = None
    changes: tuple[Made, ...] = ()

    @property
    def id(self) -> str:
        """Its workflow id."""
        return self.found.id

    @property
    def forked(self) -> Fork:
        """What it took over itself; of a run without a name where it took over nothing."""
        return Fork.model_validate(self.request.get("forked") or {"run": ""})

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.found.status is WorkflowExecutionStatus.RUNNING


async def read_run(client: Client, store: ContentStore, workflow_id: str) -> EarlierRun:
    """Read an earlier run; raises ForkError where there is none, it is none of agents, or a part of it is gone."""
    found = await described(client, workflow_id)
    status = await status_of(client, found)
    plan = await _plan_of(client, found)
    return EarlierRun(
        found=found,
        request=await request_of(client, found),
        status=status,
        outcomes=await _outcomes(client, store, found),
        plan=plan,
        progress=await _asked_if_known(client, found, "progress"),
    )


async def status_of(client: Client, found: WorkflowExecutionDescription) -> RunStatus:
    """Ask how a run stands, with all its steps; raises ForkError."""

    async def ask(first: int) -> StepOutcomes:
        return await asked(client, found, "steps", StepOutcomes, first)

    return await with_all(await asked(client, found, "status", RunStatus), ask)


async def described(client: Client, workflow_id: str, run_id: str | None = None) -> WorkflowExecutionDescription:
    """Describe a run; raises ForkError where there is none (any more)."""
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NoRunError(
            f"there is no run {workflow_id!r}: none was started under that id, or the server has deleted it, history and all, "
            "after its retention time"
        ) from error


async def history(client: Client, workflow_id: str, run_id: str) -> AsyncIterator[HistoryEvent]:
    """Yield the events of one part of a run; raises ForkError where the server has deleted it."""
    try:
        async for event in client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history_events():
            yield event
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise ForkError(
            f"a part of run {workflow_id} is gone (run id {run_id}): the server keeps the history of what has ended for its "
            "retention time only; start the task anew"
        ) from error


async def missing_contents(store: ContentStore, named: Mapping[str, str]) -> list[str]:
    """Name what is gone, or is not what was written, of contents that are each given as its key and what it is."""
    gone: list[str] = []

    async def check(ref: str) -> None:
        try:
            await store.get(ref)
        except ApplicationError as error:
            if kind_of(error) not in (ErrorKind.CONTENT_MISSING, ErrorKind.CONTENT_ALTERED):
                raise
            gone.append(f"{named[ref]} ({ref[:12]}…)")

    await for_each(named, check)
    return gone


async def for_each(given: Iterable[T], do: Callable[[T], Awaitable[None]]) -> None:
    """Do something for each of what is given, some of them at a time; raises the first error."""
    waiting = iter(given)

    async def work() -> None:
        for one in waiting:
            await do(one)

    try:
        async with asyncio.TaskGroup() as working:
            for _ in range(CHECKS_AT_ONCE):
                working.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def references(data: Any) -> Iterator[str]:
    """Yield the keys of all contents that JSON data refers to."""
    if isinstance(data, Mapping):
        ref = data.get("ref")
        if isinstance(ref, str):
            yield ref
        for each in data.values():
            yield from references(each)
    elif isinstance(data, (list, tuple)):
        for each in data:
            yield from references(each)


async def request_of(client: Client, found: WorkflowExecutionDescription) -> Mapping[str, Any]:
    """Return what a run was first started with: later parts of it carry their state in the request."""
    run_id = found.run_id
    while True:
        async for event in history(client, found.id, run_id):
            started = event.workflow_execution_started_event_attributes
            break
        else:
            raise ForkError(f"run {found.id} has no history that could be read")
        run_id = started.continued_execution_run_id
        if not run_id:
            break
    values = await client.data_converter.decode(started.input.payloads)
    if len(values) != 1 or not isinstance(values[0], dict):
        raise ForkError(
            f"run {found.id} is of type {found.workflow_type}, which is no workflow of agents: it takes no request"
        )
    return values[0]


async def _outcomes(
    client: Client, store: ContentStore, found: WorkflowExecutionDescription
) -> tuple[StepOutcome, ...]:
    read: list[StepOutcome] = []
    while True:
        page = await asked(client, found, "outcomes", StepOutcomes, len(read))
        read += page.outcomes
        if not page.outcomes or len(read) >= page.total:
            break
    texts = await store.texts(page.earlier)
    before = [outcome for text in texts.values() for outcome in StepOutcomes.model_validate_json(text).outcomes]
    return (*before, *read)


async def asked(client: Client, found: WorkflowExecutionDescription, query: str, answer: type[M], *given: Any) -> M:
    """Ask a run that is a workflow of agents; raises ForkError for another one, and where nobody answers."""
    try:
        return answer.model_validate(await answer_of(client, found, query, *given))
    except WorkflowQueryFailedError as error:
        if wrong := await wrong_input_of(client, found):
            raise ForkError(
                f"run {found.id} failed before it began, so there is nothing to go on from; start it anew: {wrong}"
            ) from error
        raise ForkError(
            f"run {found.id} is of type {found.workflow_type} and does not say what it came to ({error}); only a workflow of "
            "agents can be forked, by a worker that can read its history"
        ) from error


async def _plan_of(client: Client, found: WorkflowExecutionDescription) -> Plan | None:
    """Return the plan of a run, None where it has none; one that is too long for a message is asked for part by part."""
    whole = await _asked_if_known(client, found, "plan")
    steps = list((whole or {}).get("steps") or ())
    while whole is None:
        part = await _asked_if_known(client, found, "plan", len(steps))
        if part is None or not part.get("steps"):
            break
        steps += part["steps"]
    return Plan.model_validate({"steps": steps}) if steps else None


async def _asked_if_known(
    client: Client, found: WorkflowExecutionDescription, query: str, *given: Any
) -> Mapping[str, Any] | None:
    try:
        answer = await answer_of(client, found, query, *given)
    except WorkflowQueryFailedError:
        return None  # a workflow of another kind
    return answer if isinstance(answer, Mapping) else None


async def answer_of(client: Client, found: WorkflowExecutionDescription, query: str, *given: Any) -> Any:
    """Ask a run; raises NoWorkerAnswersError, and WorkflowQueryFailedError for what it cannot answer."""
    handle = client.get_workflow_handle(found.id, run_id=found.run_id)
    try:
        return await handle.query(query, args=given, rpc_timeout=timedelta(seconds=QUERY_SECONDS))
    except RPCError as error:
        if error.status not in NO_ANSWER:
            raise
        raise NoWorkerAnswersError(
            f"no worker on task queue {found.task_queue!r} answers for run {found.id}, and only a worker knows what its steps "
            "came to; start one, or try again when it is less busy"
        ) from error


async def with_plan(store: ContentStore, plan: Plan, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that hold its plan; one that was too long for a message is kept in the content store."""
    if request.get("kept_plan") is None:
        return {"plan": plan.model_dump(mode="json")}
    kept = await store.keep(
        plan.model_dump_json(), media_type="application/json", summary="the plan", by_reference=True
    )
    return {"plan": None, "kept_plan": kept.model_dump(mode="json")}
