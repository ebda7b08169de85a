"""A server that suggests to continue as new after a few events, and what a run's parts are looked at with."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings, data_converter
from outlast.contracts import PlanRequest, StateCarried
from outlast.llm.base import ModelCall
from outlast.storage.activities import ContentStore
from tests.processes import dev_server
from tests.replay.test_replay import replayer
from tests.served import EVERY_WORKFLOW
from tests.workflow.conftest import Runner

EVENTS = 40
"""Events after which the server suggests to continue as new: it refuses nothing below its own 51,200."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = ("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={EVENTS}")
    with dev_server(tmp_path_factory.mktemp("continuing"), options=options) as running:
        yield running.address


@pytest.fixture
async def runner(server: str, settings: Settings, store: ContentStore) -> Runner:
    client = await Client.connect(server, data_converter=data_converter(settings.payload_limit_bytes))
    own = settings.model_copy(update={"task_queue": f"test-{uuid4().hex[:8]}"})
    return Runner(WorkflowEnvironment.from_client(client), own, store)


async def parts_of(handle: WorkflowHandle[Any, Any]) -> int:
    """Count the parts that a run has had."""
    return len(await histories(handle))


async def histories(handle: WorkflowHandle[Any, Any]) -> list[WorkflowHistory]:
    """Return the histories of all parts of a run, the last one first."""
    client, found = handle._client, []
    run_id: str = (await client.get_workflow_handle(handle.id).describe()).run_id
    while run_id:
        found.append(await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history())
        run_id = found[-1].events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return found


async def handed_over(runner: Runner, handle: WorkflowHandle[Any, Any]) -> StateCarried:
    """Return what the last part of a run has taken over."""
    started = (await histories(handle))[0].events[0].workflow_execution_started_event_attributes
    (request,) = await runner.env.client.data_converter.decode(started.input.payloads, [PlanRequest])
    return StateCarried.model_validate_json(await runner.text(request.part_before.state))


async def replays(handle: WorkflowHandle[Any, Any], *more: type) -> None:
    """Replay all parts of a run; `more` are workflows of the test's own."""
    for history in await histories(handle):
        await replayer((*EVERY_WORKFLOW, *more)).replay_workflow(history)


def task_of(call: ModelCall) -> str:
    """Return what an agent with tools was asked at first."""
    return str(call.history[0]["content"] if call.history else call.messages)


def question(call: ModelCall) -> str:
    """Return what a step is asked, without the answers that it is given."""
    return call.messages[-1][1].partition("\n")[0]


def questions(asked: list[ModelCall]) -> Counter[str]:
    """Count the calls by what they ask."""
    return Counter(call.messages[-1][1] for call in asked)
