"""What a server refuses is throttled or a typed error, and never a run that stands still.

The limit on pending activities is lowered, so that a test reaches it; the others are the server's own.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from outlast.client import data_converter
from outlast.storage.payload_guard import FAILURE_CHARACTERS, SERVER_LIMIT
from outlast.workflow import activity_calls
from outlast.workflow.activity_calls import run_activity
from tests.processes import dev_server

PENDING = 20
"""What the server of this test takes; a real one takes 2,000."""
HUGE = 5_000_000
"""Characters that no message can have."""


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
    @workflow.run
    async def run(self, work: Work) -> int:
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

    @workflow.signal
    def said(self, _: str) -> None: ...


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lowered = ("--dynamic-config-value", f"limit.numPendingActivities.error={PENDING}")
    with dev_server(tmp_path_factory.mktemp("limits"), options=lowered) as server:
        yield server.address


@pytest.fixture
async def client(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(activity_calls, "MOST_AT_ONCE", PENDING // 2)
    connected = await Client.connect(address, data_converter=data_converter(SERVER_LIMIT))
    async with Worker(connected, task_queue="limits", workflows=[Limits], activities=[Parts().part]):
        yield connected


async def run(client: Client, kind: str, parts: int = 1) -> int:
    handle = await client.start_workflow(
        Limits.run,
        Work(kind=kind, parts=parts),
        id=f"{kind}-{uuid4().hex[:8]}",
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
