"""Operations that look at runs, and the one that cancels: as the commands status, result, trace, report, list and cancel."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from outlast.cli.decisions.listing import gates_of, questions_of
from outlast.cli.kinds import page_of, partial
from outlast.cli.leaving import LeavingError, why_failed
from outlast.cli.reaching import Reach, word
from outlast.cli.recorded.status import recorded_status
from outlast.cli.runs.listing import Wanted, newest, read_since
from outlast.cli.runs.retrying import Retried, Waiting, retries_of, waits_of
from outlast.cli.runs.running import read_ended
from outlast.cli.runs.waiting import outlasting
from outlast.contracts import RunStatus, Trace
from outlast.server.operations import Answer, Body, Call, HttpError

LONGEST_WAIT = 60.0
"""Seconds that one request may wait for a result; ask again."""
MOST_LISTED = 1000
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
"""A report carries its style in itself; it has neither scripts nor forms."""


class RunShown(BaseModel):
    """A run, and how far it is."""

    id: str
    """Its workflow id."""
    run_id: str
    """Its run id at Temporal; another one once it continues as new."""
    type: str
    """Its workflow."""
    status: str
    """What the server says: running, completed, failed, cancelled, terminated, timed out."""
    started: datetime
    """When it started (UTC)."""
    closed: datetime | None = None
    """When it ended (UTC); null: not yet."""
    error: str = ""
    """Why it failed; empty: it did not."""
    progress: RunStatus | None = None
    """Its steps, spend, gates and questions; null for a workflow that is none of ours."""
    waits: list[Waiting] = []
    """Its calls that wait in place for what is away, such as the content store."""
    retries: list[Retried] = []
    """Its calls that have failed and are made again, as in an outage of the provider."""
    from_history: bool = False
    """Whether no worker answered, and `progress` is what its history says."""


class RunListed(BaseModel):
    """A run in a list."""

    id: str
    """Its workflow id."""
    run_id: str
    """Its run id at Temporal."""
    type: str
    """Its workflow."""
    status: str
    """What the server says of it."""
    started: datetime
    """When it started (UTC)."""
    closed: datetime | None
    """When it ended (UTC); null: not yet."""
    seconds: float
    """How long it has run, in seconds."""


class RunsListed(BaseModel):
    """Runs, the one that started last first."""

    runs: list[RunListed]
    """The runs."""


class ListQuery(Body):
    """Which runs to list."""

    limit: int = Field(default=50, ge=1, le=MOST_LISTED)
    """Most runs."""
    failed: bool = False
    """Only those that failed."""
    running: bool = False
    """Only those that are running."""
    since: str = ""
    """Only those that began or ended since: 90m, 12h, 2d, or a date."""
    type: str = ""
    """Only those of this workflow: the word that starts it, or its type."""


class WaitQuery(Body):
    """How long to wait."""

    wait: float = Field(default=0.0, ge=0, le=LONGEST_WAIT)
    """Seconds to wait for the run's end; 0 does not wait."""


class RunEnded(BaseModel):
    """What a run came to."""

    id: str
    """Its workflow id."""
    status: str
    """What the server says of it; running: it has not ended within the wait."""
    result: dict[str, Any] | None = None
    """What the command `result --json` shows; null: it has not ended, or gave nothing."""
    error: str = ""
    """Why it failed; empty: it did not."""


class Cancelled(BaseModel):
    """Whether a run was asked to stop."""

    id: str
    """Its workflow id."""
    asked: bool
    """Whether it was running, and was asked to stop now."""
    status: str
    """What the server said of it before."""


async def list_runs(call: Call) -> Answer:
    """List runs."""
    query: ListQuery = call.query
    try:
        since = read_since(query.since, datetime.now(UTC)) if query.since else None
        wanted = Wanted(query.failed, query.running, since, (query.type,) if query.type else ())
        found = await newest(call.reach, query.limit, wanted)
    except LeavingError as error:
        raise HttpError(422, str(error).removeprefix("--")) from error
    return RunsListed(runs=[RunListed.model_validate(run) for run in found])


async def status(call: Call) -> Answer:
    """Show a run."""
    return await shown(call.reach, await call.find())


async def shown(reach: Reach, found: WorkflowExecutionDescription) -> RunShown:
    """Show a run as its worker knows it, or as its history does where no worker answers."""
    progress, _, answered = await known_of(reach, found)
    return RunShown(
        id=found.id,
        run_id=found.run_id,
        type=found.workflow_type,
        status=word(found.status),
        started=found.start_time,
        closed=found.close_time,
        error=await why_failed(reach.client, found),
        progress=progress,
        waits=await waits_of(reach, found),
        retries=retries_of(found),
        from_history=not answered,
    )


async def known_of(reach: Reach, found: WorkflowExecutionDescription) -> tuple[RunStatus | None, Trace, bool]:
    """Return status and trace of a run, and whether a worker gave them; no status for a workflow that is none of ours."""
    try:
        progress = await reach.status(found)
        return progress, await reach.trace(found), True
    except LeavingError:
        with suppress(ValueError):
            gates, asked = await gates_of(found), await questions_of(found)
            return *await recorded_status(reach, found, gates.waiting, gates.standing, asked), False
    except (WorkflowQueryFailedError, ValueError):
        pass
    return None, Trace(), False


async def trace(call: Call) -> Answer:
    """Show the calls of a run."""
    _, calls, _ = await known_of(call.reach, await call.find())
    return calls


async def result(call: Call) -> Answer:
    """Show what a run came to."""
    found, query = await call.find(), call.query
    kind = page_of(found.workflow_type)
    handle = call.reach.client.get_workflow_handle(found.id, run_id=found.run_id, result_type=kind.result)
    waiting = asyncio.ensure_future(outlasting(handle))
    try:
        if found.status is WorkflowExecutionStatus.RUNNING:
            await asyncio.wait({waiting}, timeout=query.wait)
            if not waiting.done():
                return 202, RunEnded(id=found.id, status=word(found.status))
        return await _came_to(call.reach, found, waiting)
    finally:
        waiting.cancel()
        with suppress(asyncio.CancelledError, WorkflowFailureError, RPCError, ValueError):
            await waiting


async def _came_to(reach: Reach, found: WorkflowExecutionDescription, waiting: "asyncio.Future[Any]") -> RunEnded:
    given, error = None, None
    try:
        given = await waiting
    except WorkflowFailureError as failure:
        given, error = partial(failure.cause, found.workflow_type), failure
    ended = await read_ended(reach, found.id, found.workflow_type, given, error)
    read = ended.as_json() if ended.page is not None or error else None
    now = await reach.client.get_workflow_handle(found.id, run_id=found.run_id).describe()
    data = jsonable(read)
    return RunEnded(id=found.id, status=word(now.status), result=data, error=data.get("error", "") if data else "")


def jsonable(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Write what a page gives as JSON data: it may hold states and tuples."""
    import json

    return None if data is None else json.loads(json.dumps(data, default=str))


async def report(call: Call) -> Answer:
    """Show the report of a run as a page."""
    from outlast.cli.report.page import html
    from outlast.cli.report.reading import read_report

    found = await call.find()
    made = await read_report(call.reach, found.id)
    return HTMLResponse(html(made, datetime.now(UTC)), headers={"Content-Security-Policy": REPORT_POLICY})


async def cancel(call: Call) -> Answer:
    """Ask a run to stop."""
    found = await call.find()
    running = found.status is WorkflowExecutionStatus.RUNNING
    if running:
        handle: WorkflowHandle[Any, Any] = call.reach.client.get_workflow_handle(found.id, run_id=found.run_id)
        await handle.cancel()
    return (202 if running else 200), Cancelled(id=found.id, asked=running, status=word(found.status))
