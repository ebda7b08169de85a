"""The connection to the server and to a run: connect, find, query, and know whether any worker is there.

The server lists a poller for five minutes after its worker has died, and a query that no worker takes waits half a minute. So
only recent pollers count, and queries have a short deadline.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.kinds import SYSTEM, known, worker_elsewhere, worker_of
from outlast.cli.leaving import UNSERVED, WRONG, LeavingError, never_begun, say
from outlast.client import Settings, SettingsError, connect, load_settings, running_stack
from outlast.command_line import command, start_a_worker
from outlast.contracts import RunStatus, StepRow, Trace
from outlast.errors import text_of
from outlast.storage.activities import ContentStore
from outlast.storage.payload_codec import unseal
from outlast.worker.routing import Served, served_by

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

QUERY_DEADLINE = timedelta(seconds=2)
"""How long one look of `watch` waits for a worker; it looks again."""
PATIENT_DEADLINE = timedelta(seconds=10)
"""The same for commands that cannot do without the answer."""
PARTS_KEPT = 50
"""Parts of runs whose steps are kept in memory: they never change, and whoever watches a run asks again and again."""
NOBODY_ANSWERS = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.FAILED_PRECONDITION)
"""How a query ends that no worker takes; at once where the server has just started and has seen no worker yet."""
PASSING = frozenset(
    {
        RPCStatusCode.ABORTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.UNKNOWN,
    }
)
"""What a server says, or does not say, while it goes down or comes up."""
PATTERN = SearchAttributeKey.for_keyword("AgentPattern")


class WorkerBusyError(LeavingError):
    """A worker polls the task queue and does not answer: it is busy, has just died, or is not the build of the run."""


@dataclass(frozen=True)
class Reach:
    """A connection with the settings it was made by."""

    settings: Settings
    client: Client
    _rows: dict[str, tuple[StepRow, ...]] = field(default_factory=dict, compare=False, repr=False)

    def store(self, *, waits: bool = True) -> ContentStore:
        """Open the content store; it `waits` for one that is away. Raises LeavingError naming the setting."""
        return open_store(self.settings, waits=waits)

    async def served(self, of: str | WorkflowExecution) -> bool:
        """Whether a worker has polled lately that may take a run, or a new run of a task queue."""
        return (await self._served_by(of)).serves(_info(of))

    async def workers(self, task_queue: str) -> list[str]:
        """Return the workers that have polled the task queue lately, each as `pid@host`, whatever builds they are."""
        return [identity for identity, _ in (await self._served_by(task_queue)).workers]

    async def served_soon(self, of: str | WorkflowExecution) -> bool:
        """Whether such a worker polls, or does so within WORKER_WAIT seconds: one that starts needs a few."""
        if await self.served(of):
            return True
        deadline = time.monotonic() + (wait := self.settings.worker_wait)
        if wait:
            say(f"no worker serves task queue {_queue(of)!r} yet; waits up to {wait:g} s for one …")
        while time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            if await self.served(of):
                return True
        return False

    async def lacking(self, of: str | WorkflowExecution, workflow: str = "") -> tuple[str, str]:
        """Say which worker is missing, and how to start it; `workflow` is what shall run on a queue."""
        lacks = (await self._served_by(of)).lacks(_info(of))
        workflow = workflow if isinstance(of, str) else of.workflow_type
        advice = worker_elsewhere(workflow, _queue(of)) or start_a_worker(worker_of(_queue(of)))
        return lacks or (f"no worker serves task queue {_queue(of)!r}", advice)

    async def no_worker(self, of: str | WorkflowExecution, why: str, workflow: str = "") -> LeavingError:
        """Build the error that says so."""
        lacks, advice = await self.lacking(of, workflow)
        # An ended run stays with its build, which may be gone for good: its history is what there is then.
        ended = not isinstance(of, str) and of.status is not WorkflowExecutionStatus.RUNNING
        kind = WorkerBusyError if ended and await self.workers(_queue(of)) else LeavingError
        return kind(UNSERVED, f"{why}: {lacks}. {advice}")

    async def _served_by(self, of: str | WorkflowExecution) -> Served:
        return await served_by(self.client, _queue(of))

    async def find(self, workflow_id: str, *, ours: bool = True) -> WorkflowExecutionDescription:
        """Describe a run; raises LeavingError if there is none, or, where it must be, it is not one of `ours`."""
        missing = LeavingError(WRONG, f"there is no run {workflow_id!r}; '{command('list')}' shows those there are")
        try:
            if workflow_id.startswith(SYSTEM):
                raise missing
            found = await self.client.get_workflow_handle(workflow_id).describe()
            for pending in found.raw_description.pending_activities:
                await unseal(self.client.data_converter, pending.last_failure)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                raise missing from error
            raise
        if ours and not await self.is_agent_run(found):
            raise LeavingError(
                WRONG,
                f"run {workflow_id!r} is of type {found.workflow_type}, which is no workflow of agents; it answers no status",
            )
        return found

    async def is_agent_run(self, found: WorkflowExecutionDescription) -> bool:
        """Whether a run is one of an AgentWorkflow; it is taken for one where only its worker could say, and does not answer."""
        if known(found.workflow_type) or found.typed_search_attributes.get(PATTERN) is not None:
            return True
        try:
            await self.ask(found, "status", RunStatus)
        except (WorkflowQueryFailedError, ValueError):
            return False
        except LeavingError:
            return True
        return True

    async def ask(
        self, found: WorkflowExecutionDescription, query: str, answer: type[M], *, within: timedelta | None = None
    ) -> M:
        """Query a run.

        Raises WorkerBusyError when no worker answers in time although one polls, NeverBegunError for a run whose input was wrong,
        LeavingError when the server knows of no worker, or the run has not begun.
        """
        must_have_begun(found)
        if not await self.served(found):
            raise await self.no_worker(
                found, f"run {found.id!r} is {word(found.status)}, but only a worker knows its steps"
            )
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(found.id, run_id=found.run_id)
        within = within or timedelta(seconds=self.settings.query_wait)
        try:
            answered: M = await handle.query(query, result_type=answer, rpc_timeout=within)
        except WorkflowQueryFailedError as error:
            if never := await never_begun(self.client, found):
                raise never from error
            raise
        except RPCError as error:
            if error.status not in NOBODY_ANSWERS:
                raise
            state = f"run {found.id!r} is {word(found.status)}"
            if not await self.served(found):
                raise await self.no_worker(found, state) from error
            raise WorkerBusyError(
                UNSERVED,
                f"{state}: the worker is busy, or has just died; it did not answer within {within.total_seconds():g} s",
            ) from error
        return answered

    async def status(self, run: WorkflowExecutionDescription, *, within: timedelta | None = None) -> RunStatus:
        """Query how a run stands, its steps in full; raises as `ask`."""
        return await self.all_steps(run, await self.ask(run, "status", RunStatus, within=within))

    async def all_steps(self, found: WorkflowExecutionDescription, status: RunStatus) -> RunStatus:
        """Add the steps that did not fit into the answer, in full."""
        if status.left_out:
            from outlast.tracing.rows import asked_whole  # few looks at a run need the contracts of requests

            query = self.client.get_workflow_handle(found.id, run_id=found.run_id).query
            status = await asked_whole(status, query, self.settings.query_wait)
        return await self.in_full(status)

    async def in_full(self, status: RunStatus) -> RunStatus:
        """Put times and outputs to steps of earlier parts of a run, which lie in the content store as long as it is there."""
        if not status.earlier:
            return status
        from outlast.contracts import StepOutcomes

        fresh = [ref for ref in status.earlier if ref not in self._rows]
        try:
            texts = await self.store(waits=False).texts(fresh) if fresh else {}
        except ApplicationError:
            return status
        for ref, text in texts.items():
            self._rows[ref] = StepOutcomes.model_validate_json(text).rows
        rows = {row.step: row for ref in status.earlier for row in self._rows[ref]}
        for oldest in list(self._rows)[:-PARTS_KEPT]:
            del self._rows[oldest]
        return status.model_copy(update={"steps": tuple(rows.get(row.step, row) for row in status.steps)})

    async def trace(self, found: WorkflowExecutionDescription) -> Trace:
        """Query the calls of a run, those of its earlier parts too where it has continued as new; raises as `ask`."""
        trace = await self.ask(found, "trace", Trace)
        if not trace.earlier:
            return trace
        try:
            texts = await self.store(waits=False).texts(trace.earlier)
        except ApplicationError as error:
            say(f"the calls of {len(trace.earlier)} earlier parts are left out: {text_of(error)}")
            return trace
        before = [call for text in texts.values() for call in Trace.model_validate_json(text).calls]
        return trace.model_copy(update={"calls": (*before, *trace.calls), "earlier": ()})

    def page_of(self, workflow_id: str) -> str:
        """Return the run's page in the Web UI of the embedded stack, or "" where we know of none."""
        ui = (running_stack(self.settings) or {}).get("ui")
        return f"{ui}/namespaces/{self.client.namespace}/workflows/{quote(workflow_id, safe='')}" if ui else ""


def open_store(settings: Settings, *, waits: bool = True) -> ContentStore:
    """Open the content store; it `waits` for one that is away, and says so. Raises LeavingError naming the setting."""
    try:
        with settings.store_named():
            return ContentStore.open(
                settings.store_url,
                settings.content_inline_bytes,
                state_dir=settings.state_dir.resolve(),
                waits=settings.store_wait if waits else 0.0,
                on_outage=_report_outage,
                seal=settings.seal(),
            )
    except (ValueError, SettingsError) as error:
        raise LeavingError(WRONG, str(error)) from error


def _report_outage(why: str) -> None:
    say(f"{why}; still waiting, nothing is lost …" if why else "the content store answers again")


def _queue(of: str | WorkflowExecution) -> str:
    return of if isinstance(of, str) else of.task_queue


def _info(of: str | WorkflowExecution) -> WorkflowExecutionInfo | None:
    """Return what the server knows of a run: a described one has its build."""
    return of.raw_description.workflow_execution_info if isinstance(of, WorkflowExecutionDescription) else None


def begins_at(found: WorkflowExecution) -> datetime | None:
    """Return when a run begins that was started with a delay; None where it has begun, as any part that follows another."""
    first = found.raw_info.first_run_id in ("", found.run_id)
    waits = first and found.status is WorkflowExecutionStatus.RUNNING and found.execution_time
    return found.execution_time if waits and waits > datetime.now(UTC) else None


def must_have_begun(found: WorkflowExecution) -> None:
    """Raise LeavingError for a run that was started with a delay and waits for its time."""
    if when := begins_at(found):
        shown = when.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        raise LeavingError(WRONG, f"run {found.id!r} begins at {shown} and has done nothing yet")


def word(status: WorkflowExecutionStatus | None) -> str:
    """Name a status as people write it."""
    return status.name.lower().replace("_", " ").replace("canceled", "cancelled") if status else "unknown"


def reaching(command: Callable[[Reach], Awaitable[T]]) -> T:
    """Connect and run a command to its end."""

    async def connected() -> T:
        settings = load_settings()
        return await command(Reach(settings, await _connect(settings)))

    return asyncio.run(connected())


async def _connect(settings: Settings) -> Client:
    # The SDK's core reports each retry on stderr; we report an outage to the person, once.
    quiet = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=quiet)), error_if_already_set=False)
    return await connect(settings)
