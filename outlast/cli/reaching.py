"""The connection to the server and to a run: connect, find, query, and know whether any worker is there.

The server lists a poller for five minutes after its worker has died, and a query that no worker takes waits half a minute. So
only recent pollers count, and queries have a short deadline.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.common import SearchAttributeKey
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.kinds import known, worker_of
from outlast.cli.leaving import UNSERVED, WRONG, LeavingError, say
from outlast.client import Settings, connect, load_settings, running_stack
from outlast.command_line import command, start_a_worker
from outlast.contracts import RunStatus
from outlast.storage.activities import ContentStore
from outlast.storage.payload_codec import unseal

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

FRESH = timedelta(seconds=75)
"""How recently a living worker has polled: a poll waits a minute for work."""

QUERY_DEADLINE = timedelta(seconds=2)
"""How long one look of `watch` waits for a worker; it looks again."""

PATIENT_DEADLINE = timedelta(seconds=10)
"""The same for commands that cannot do without the answer."""

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
    """A query was not answered in time, although a worker polls its task queue: the worker is busy, or has just died."""


@dataclass(frozen=True)
class Reach:
    """A connection with the settings it was made by."""

    settings: Settings
    client: Client

    def store(self, *, waits: bool = True) -> ContentStore:
        """Open the content store; it `waits` for one that is away. Raises LeavingError naming CONTENT_STORE_URL."""
        return open_store(self.settings, waits=waits)

    async def served(self, task_queue: str) -> bool:
        """Whether a worker has polled the task queue lately."""
        return bool(await self.workers(task_queue))

    async def workers(self, task_queue: str) -> list[str]:
        """Return the workers that have polled the task queue lately, each as `pid@host`."""
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        answer = await self.client.workflow_service.describe_task_queue(request)
        oldest = datetime.now(UTC) - FRESH
        return [each.identity for each in answer.pollers if each.last_access_time.ToDatetime(UTC) > oldest]

    async def served_soon(self, task_queue: str) -> bool:
        """Whether a worker polls the task queue, or does so within WORKER_WAIT seconds: one that starts needs a few."""
        if await self.served(task_queue):
            return True
        deadline = time.monotonic() + self.settings.worker_wait
        if self.settings.worker_wait:
            say(
                f"no worker serves task queue {task_queue!r} yet; waits up to {self.settings.worker_wait:g} s for one …"
            )
        while time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            if await self.served(task_queue):
                return True
        return False

    async def find(self, workflow_id: str, *, ours: bool = True) -> WorkflowExecutionDescription:
        """Describe a run; raises LeavingError if there is none, or, where it must be, it is not one of `ours`."""
        try:
            found = await self.client.get_workflow_handle(workflow_id).describe()
            for pending in found.raw_description.pending_activities:
                await unseal(self.client.data_converter, pending.last_failure)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and "namespace" not in error.message.lower():
                raise LeavingError(
                    WRONG, f"there is no run {workflow_id!r}; '{command('list')}' shows those there are"
                ) from error
            raise
        if ours and not await self.is_agent_run(found):
            raise LeavingError(
                WRONG,
                f"run {workflow_id!r} is a {found.workflow_type}, which is not a workflow of agents: it answers no status query",
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

        Raises WorkerBusyError when no worker answers in time although one polls, LeavingError when the server knows of none.
        """
        if not await self.served(found.task_queue):
            raise no_worker(
                found.task_queue, f"run {found.id!r} is {word(found.status)}, but only a worker knows its steps"
            )
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(found.id, run_id=found.run_id)
        within = within or timedelta(seconds=self.settings.query_wait)
        try:
            answered: M = await handle.query(query, result_type=answer, rpc_timeout=within)
        except RPCError as error:
            if error.status not in NOBODY_ANSWERS:
                raise
            state = f"run {found.id!r} is {word(found.status)}"
            if not await self.served(found.task_queue):
                raise no_worker(found.task_queue, state) from error
            raise WorkerBusyError(
                UNSERVED,
                f"{state}: the worker is busy, or has just died; it did not answer within {within.total_seconds():g} s",
            ) from error
        return answered

    def page_of(self, workflow_id: str) -> str:
        """Return the run's page in the Web UI of the embedded stack, or "" where we know of none."""
        stack = running_stack(self.settings)
        ui = stack.get("ui") if stack else None
        return f"{ui}/namespaces/{self.client.namespace}/workflows/{quote(workflow_id, safe='')}" if ui else ""


def open_store(settings: Settings, *, waits: bool = True) -> ContentStore:
    """Open the content store; it `waits` for one that is away, and says so. Raises LeavingError naming CONTENT_STORE_URL."""
    url = settings.store_url
    try:
        return ContentStore.open(
            url,
            settings.content_inline_bytes,
            state_dir=settings.state_dir.resolve(),
            waits=settings.store_wait if waits else 0.0,
            on_outage=_report_outage,
        )
    except ValueError as error:
        raise LeavingError(WRONG, str(error)) from error
    except OSError as error:
        raise LeavingError(WRONG, f"CONTENT_STORE_URL={url} cannot be opened: {error}") from error


def _report_outage(why: str) -> None:
    say(f"{why}; still waiting, nothing is lost …" if why else "the content store answers again")


def no_worker(task_queue: str, why: str = "") -> LeavingError:
    """Build the error that says how to start a worker."""
    before = f"{why}: " if why else ""
    return LeavingError(
        UNSERVED, f"{before}no worker serves task queue {task_queue!r}. {start_a_worker(worker_of(task_queue))}"
    )


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
    quiet = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=quiet))), error_if_already_set=False
    )
    return await connect(settings)
