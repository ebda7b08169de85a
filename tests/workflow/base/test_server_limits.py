"""What a server refuses is throttled or a typed error, and never a run that stands still.

The limit on pending activities is lowered, so that a test reaches it; the others are the server's own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker

from outlast.cli.leaving import WRONG, verdict
from outlast.client import data_converter
from outlast.contracts import ARGUMENTS_SHOWN
from outlast.contracts.gate_views import GATES_IN_MEMO, GateView
from outlast.errors import ErrorKind
from outlast.storage.payload_guard import FAILURE_CHARACTERS, SERVER_LIMIT
from outlast.workflow import activity_calls
from outlast.workflow.activity_calls import MOST_AT_ONCE, run_activity
from outlast.workflow.handlers import MessageHandlers
from tests.processes import dev_server

PENDING = 20
"""What the server of this test takes; a real one takes 2,000."""
HUGE = 5_000_000
"""Characters that no message can have."""
SIGNALS = 500

SERVER_PENDING = 2000
"""Activities of one run at the same time, as a server has it by default."""
MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest message of gRPC."""
MEMO_BYTES = 2 * 1024 * 1024
ID_CHARACTERS = 1000
SERVER_SIGNALS = 10_000
"""Signals that one run may get."""
SERVER_EVENTS = 51_200
"""Events of one history."""


class Work(BaseModel):
    kind: str
    parts: int = 0


class Parts:
    @activity.defn
    async def part(self, work: Work) -> int:
        match work.kind:
            case "error":
                raise ApplicationError("e" * HUGE, type="Mine", non_retryable=True)
            case "details":
                raise ApplicationError("with details", "d" * HUGE, type="Mine", non_retryable=True)
            case "bug":
                raise ValueError("b" * HUGE)
        return work.parts


@workflow.defn(sandboxed=False)  # a sandbox would import this test
class Limits:
    def __init__(self) -> None:
        self._said = 0

    @workflow.run
    async def run(self, work: Work) -> int:
        if work.kind == "wait":
            await workflow.wait_condition(lambda: self._said > 0 and self._said >= work.parts)
            return work.parts
        if work.kind == "own error":
            raise ApplicationError("e" * HUGE, type="Mine")
        options = {
            "start_to_close_timeout": timedelta(seconds=20),
            "retry_policy": RetryPolicy(maximum_attempts=1),
        }
        calls = [
            run_activity(Parts.part, Work(kind=work.kind, parts=number), **options) for number in range(work.parts)
        ]
        return sum(await asyncio.gather(*calls))

    @workflow.query
    def large(self) -> str:
        return "q" * HUGE

    @workflow.update
    def told(self, *args: Any) -> None: ...

    told.validator(MessageHandlers.check_size)  # type: ignore[arg-type]

    @workflow.signal
    def said(self, _: str) -> None:
        self._said += 1


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lowered = ("--dynamic-config-value", f"limit.numPendingActivities.error={PENDING}")
    with dev_server(tmp_path_factory.mktemp("limits"), options=lowered) as server:
        yield server.address


@pytest.fixture
async def client(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(activity_calls, "MOST_AT_ONCE", PENDING // 2)
    connected = await Client.connect(address, data_converter=data_converter(SERVER_LIMIT))
    served: dict[str, Any] = {"workflows": [Limits], "activities": [Parts().part], "disable_payload_error_limit": True}
    async with Worker(connected, task_queue="limits", **served):
        yield connected


def name_of(kind: str) -> str:
    return f"{kind}-{uuid4().hex[:8]}"


async def run(client: Client, kind: str, parts: int = 1, *, id: str = "") -> int:  # noqa: A002 - as the client has it
    handle = await client.start_workflow(
        Limits.run,
        Work(kind=kind, parts=parts),
        id=id or name_of(kind),
        task_queue="limits",
        execution_timeout=timedelta(seconds=30),
    )
    return await handle.result()


async def test_more_activities_at_once_than_a_server_takes_are_throttled(client: Client) -> None:
    assert await run(client, "work", PENDING * 3) == sum(range(PENDING * 3))


@pytest.mark.parametrize(
    ("kind", "type_", "said"),
    [
        ("error", "Mine", "characters left out"),
        ("details", "Mine", "with details (its details are left out: str is 5,000,002 bytes"),
        ("bug", "ValueError", "characters left out"),
        ("own error", "Mine", "characters left out"),
    ],
)
async def test_a_failure_of_any_size_is_reported(client: Client, kind: str, type_: str, said: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(client, kind)
    cause = caught.value.cause
    error = cause if isinstance(cause, ApplicationError) else cause.__cause__
    assert isinstance(error, ApplicationError)
    assert (error.type, said in error.message, len(error.message) < FAILURE_CHARACTERS + 100) == (type_, True, True)


async def test_a_query_answer_that_is_too_large_is_an_error_and_the_run_goes_on(client: Client) -> None:
    handle = await client.start_workflow(
        Limits.run, Work(kind="work", parts=1), id=name_of("asked"), task_queue="limits"
    )
    with pytest.raises(WorkflowQueryFailedError, match=r"str is 5,000,002 bytes, over the limit of 2,097,152"):
        await handle.query(Limits.large)
    assert await handle.result() == 0


@pytest.mark.parametrize(
    ("size", "refusal"), [(3_000_000, "exceeds"), (HUGE, "larger than max")], ids=["blob", "message"]
)
async def test_a_signal_that_is_too_large_is_refused_and_the_run_goes_on(
    address: str, client: Client, size: int, refusal: str
) -> None:
    """Our own client refuses it before it is sent; so does the server, whoever sends it."""
    name, bare, huge = name_of("sent"), await Client.connect(address), "s" * size
    handle = await client.start_workflow(Limits.run, Work(kind="wait"), id=name, task_queue="limits")
    with pytest.raises(RPCError, match=refusal) as caught:
        await bare.get_workflow_handle(name).signal("said", huge, rpc_timeout=timedelta(seconds=5))
    code, said = verdict(caught.value)
    assert (code, refusal in said) == (WRONG, True)
    with pytest.raises(ApplicationError) as refused:
        await handle.signal(Limits.said, huge)
    assert refused.value.type == ErrorKind.PAYLOAD_TOO_LARGE
    await handle.signal(Limits.said, "small")
    assert await handle.result() == 0


@pytest.mark.parametrize("size", [3_000_000, HUGE], ids=["blob", "message"])
@pytest.mark.parametrize("update", ["told", "unknown"])
async def test_an_update_that_is_too_large_is_refused_and_the_run_goes_on(
    address: str, client: Client, update: str, size: int
) -> None:
    """A server takes one of up to 4 MB, and hands it out with each task of the run until one is completed."""
    name, bare = name_of("updated"), await Client.connect(address)
    handle = await client.start_workflow(Limits.run, Work(kind="wait"), id=name, task_queue="limits")
    with pytest.raises(RPCError, match=r"unexpected workflow task failure|larger than max"):
        await bare.get_workflow_handle(name).execute_update(update, "u" * size, rpc_timeout=timedelta(seconds=10))
    await handle.signal(Limits.said, "small")
    assert await asyncio.wait_for(handle.result(), 10) == 0


async def test_signals_that_wait_in_a_row_are_all_taken(address: str, client: Client) -> None:
    handle = await client.start_workflow(
        Limits.run, Work(kind="wait", parts=SIGNALS), id=name_of("row"), task_queue="nobody yet"
    )
    await asyncio.gather(*(handle.signal(Limits.said, f"{number}") for number in range(SIGNALS)))
    async with Worker(client, task_queue="nobody yet", workflows=[Limits]):
        assert await handle.result() == SIGNALS


async def test_an_id_may_have_a_thousand_characters(client: Client) -> None:
    assert await run(client, "work", id="i" * ID_CHARACTERS) == 0
    with pytest.raises(RPCError, match="WorkflowId exceeds maximum allowed length") as caught:
        await run(client, "work", id="i" * (ID_CHARACTERS + 1))
    assert verdict(caught.value)[0] == WRONG


def test_the_memo_of_the_most_gates_is_smaller_than_a_server_takes() -> None:
    wide = "𝄞"  # four bytes
    view = GateView(
        name="gate-1000",
        description=wide * 200,
        deadline=datetime.now(UTC),
        digest="d" * 64,
        arguments=wide * (ARGUMENTS_SHOWN + 1),
    )
    assert len(view.model_dump_json().encode()) * GATES_IN_MEMO < MEMO_BYTES
    assert MOST_AT_ONCE * 2 <= SERVER_PENDING  # there is room for what a workflow of somebody's starts beside them
