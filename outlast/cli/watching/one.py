"""Watching one run until it ends: through restarts of server and worker, and through the parts of a run that continues as new.

A run that continues as new has the same id and another run id, and a query to the old one answers forever with how it stood
then. So each look asks the server first which run that id means now.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError

from outlast.cli.decisions.listing import gates_of
from outlast.cli.kinds import page_of
from outlast.cli.leaving import FAILED, LeavingError, cause_of, say
from outlast.cli.reaching import QUERY_DEADLINE, Reach, begins_at
from outlast.cli.recorded.events import failure_of
from outlast.cli.recorded.status import recorded_status
from outlast.cli.rendering import local_time, money
from outlast.cli.results import Reader, without_tools
from outlast.cli.results.anything import AnyPage
from outlast.cli.runs.class_queues import class_waits
from outlast.cli.runs.retrying import wait_lines, waits_of
from outlast.cli.runs.waiting import PATIENCE, Told, may_be_left, outlasting
from outlast.cli.watching.calls import Calls
from outlast.cli.watching.outages import SERVER, WORKER, Outages
from outlast.cli.watching.showing import Display, displayed
from outlast.cli.watching.steps import ENDED, Look, Retry, look_at
from outlast.cli.watching.texts import Texts
from outlast.command_line import command
from outlast.contracts import RunStatus, Trace

EVERY = 0.5
"""Seconds between two looks."""

LAST_CALLS = 10.0
"""Seconds that the calls of a run that has ended are waited for."""


async def follow(reach: Reach, workflow_id: str, *, stream: bool = False) -> None:
    """Show a run as it changes, until it ends, with `stream` what its models write; raises LeavingError if it failed."""
    found = await reach.find(workflow_id)
    if begins := begins_at(found):
        say(f"{workflow_id} begins at {local_time(begins)}")
    elif found.status is WorkflowExecutionStatus.RUNNING and not await reach.served(found):
        raise await reach.no_worker(found, f"run {workflow_id!r} is still running")
    kind = page_of(found.workflow_type)
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id, result_type=kind.result)
    with may_be_left(workflow_id), displayed(texts=stream) as display:
        watch = Watch(reach, found, display, stream=stream)
        try:
            result = await watch.result_of(handle)
        except WorkflowFailureError as error:
            raise LeavingError(FAILED, cause_of(error)) from error
    page = None
    with suppress(LeavingError):  # a result that cannot be read here is no failure of the run
        page = await kind.read(Reader(reach.store(), reach.settings, workflow_id), result)
    if isinstance(page, AnyPage):
        result = page.shared
    complaint = (page.complaint if page is not None else "") or without_tools(result)
    if complaint:
        raise LeavingError(FAILED, complaint)
    print(f"{workflow_id} is done{watch.outcome}: {command('result', workflow_id)}")


class Watch:
    """The looks at one run."""

    def __init__(self, reach: Reach, found: WorkflowExecutionDescription, display: Display, *, stream: bool) -> None:
        self._reach = reach
        self._id = found.id
        self._first = found.raw_description.workflow_execution_info.first_run_id
        self._display = display
        self._outages = Outages(display.print_line)
        self._waits, self._waits_next = Told(display.print_line), time.monotonic() + PATIENCE
        self._calls = Calls(reach, found)
        self._texts = Texts(reach, found.id, display.write) if stream else None
        self._following: asyncio.Task[None] | None = None
        self._look: Look | None = None
        self._trace = Trace()
        self._traced: object = None

    @property
    def outcome(self) -> str:
        """How it stood at the last look."""
        look = self._look
        return f" ({look.status.state} · {look.progress} · {money(look.status.spend)})" if look else ""

    async def result_of(self, handle: WorkflowHandle[Any, Any]) -> Any:
        """Look again and again until the run has ended, and once more; raises WorkflowFailureError if it failed."""
        ended = asyncio.create_task(outlasting(handle))
        try:
            if self._texts:
                self._follow_calls()
            while not ended.done():
                await self._once()
                await asyncio.wait({ended}, timeout=EVERY)
            if self._following:
                await asyncio.wait({self._following}, timeout=LAST_CALLS)
            await self._once()
            return await ended
        finally:
            for task in filter(None, (ended, self._following)):
                task.cancel()
                with suppress(asyncio.CancelledError, WorkflowFailureError, RPCError):
                    await task

    async def _once(self) -> None:
        handle = self._reach.client.get_workflow_handle(self._id)
        try:
            found = await handle.describe(rpc_timeout=QUERY_DEADLINE)
        except RPCError as error:
            if not self._outages.lost(error, asked=SERVER):
                raise
            return
        self._outages.answered(SERVER)
        if found.raw_description.workflow_execution_info.first_run_id != self._first:
            return  # the id has been given to another run since
        status = await self._status(found)
        if time.monotonic() >= self._waits_next:
            self._waits_next = time.monotonic() + PATIENCE
            with suppress(RPCError):
                self._waits.tell(await class_waits(self._reach, found))
        if self._texts:
            await self._texts.show(found, self._calls)
        if status is not None:
            self._look = look_at(
                status, self._trace, self._retries(found), wait_lines(await waits_of(self._reach, found))
            )
            self._display.show(self._look)

    async def _status(self, found: WorkflowExecutionDescription) -> RunStatus | None:
        """Ask the worker; where none answers, return what was last known, with the gates that the server knows of."""
        handle: WorkflowHandle[Any, Any] = self._reach.client.get_workflow_handle(self._id, run_id=found.run_id)
        try:
            ended_alone = found.status is not WorkflowExecutionStatus.RUNNING and not await self._reach.served(found)
            if ended_alone or begins_at(found):
                return None
            status: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=QUERY_DEADLINE)
            status = await self._reach.all_steps(found, status)
            ended = sum(row.state in ENDED for row in status.steps)
            if (marks := (found.run_id, status.spend.calls, ended)) != self._traced:
                self._trace = await handle.query("trace", result_type=Trace, rpc_timeout=QUERY_DEADLINE)
                self._traced = marks
        except RPCError as error:
            if not self._outages.lost(error, asked=WORKER):
                raise
            gates = (await gates_of(found)).waiting
            if self._look is None:
                status, self._trace = await recorded_status(self._reach, found, gates)
                return status
            return self._look.status.model_copy(update={"gates": gates})
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None  # it has no answer at this moment, for instance before its first task
        self._outages.answered(WORKER)
        return status

    def _retries(self, found: WorkflowExecutionDescription) -> list[Retry]:
        """List the calls beyond their first attempt; which steps they belong to is known once their history is read."""
        again = [one for one in found.raw_description.pending_activities if one.attempt > 1]
        if again:
            self._follow_calls()
        retries = []
        for pending in again:
            call = self._calls.open.get((found.run_id, pending.activity_id))
            if call is not None:
                text, kind = failure_of(pending.last_failure)
                reason = " ".join(": ".join(filter(None, (kind, text))).split())[:200]
                retries.append(Retry(call.step or call.text, pending.activity_type.name, pending.attempt, reason))
        return retries

    def _follow_calls(self) -> None:
        if self._following is None:
            self._following = asyncio.create_task(self._followed())

    async def _followed(self) -> None:
        try:
            await self._calls.follow()
        except Exception as error:  # a history that cannot be read takes attempts and texts away, never the watching
            self._display.print_line(f"the run's history cannot be read ({error}): attempts and texts are not shown")
