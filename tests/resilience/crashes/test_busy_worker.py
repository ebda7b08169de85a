"""A busy, stopped or killed worker pays no live model call twice: real processes, and an API that counts."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from outlast.client import data_converter
from outlast.contracts import Plan, PlanRequest, PlanResult, PlanStep, RunState
from tests.processes import wait_for
from tests.stacks import Stack, whole_stack
from workflows.plan_and_execute import PlanAndExecuteWorkflow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    with whole.lent():
        yield whole


def side_by_side(steps: int) -> PlanRequest:
    """Build a plan whose steps all run at once."""
    parts = tuple(PlanStep(step=number, agent="writer", input=f"Part {number}.") for number in range(steps))
    return PlanRequest(plan=Plan(steps=parts), max_parallel=steps)


async def started(stack: Stack, name: str, *requests: PlanRequest) -> list[WorkflowHandle[Any, PlanResult]]:
    client = await Client.connect(stack.server.address, data_converter=data_converter(512 * 1024))
    run = PlanAndExecuteWorkflow.run
    return [
        await client.start_workflow(run, request, id=f"{name}-{number}", task_queue="agents")
        for number, request in enumerate(requests)
    ]


async def test_two_hundred_streams_on_one_worker_are_two_hundred_calls(stack: Stack) -> None:
    stack.api.script(rules=[{"text": "word " * 40, "piece": 4, "pace": 0.05}])
    handles = await started(stack, "streams", side_by_side(100), side_by_side(100))
    results = await asyncio.gather(*(handle.result() for handle in handles))
    assert [result.state for result in results] == [RunState.COMPLETED] * 2
    assert [hit["outcome"] for hit in stack.api.hits()] == ["answered"] * 200


async def test_a_worker_that_stands_still_for_a_while_keeps_its_calls(stack: Stack) -> None:
    """As long as the machine is swapping, its disk is stuck, or its owner pressed Ctrl-Z."""
    stack.api.script(hold=True)
    (handle,) = await started(stack, "stopped", side_by_side(20))
    await asyncio.to_thread(wait_for, lambda: len(stack.api.hits()) == 20, "20 calls run")
    stack.worker.send(signal.SIGSTOP)
    await asyncio.sleep(6)
    stack.worker.send(signal.SIGCONT)
    await asyncio.sleep(1)  # for the server to say what it thinks of the silence
    stack.api.script(hold=False)
    assert (await handle.result()).state is RunState.COMPLETED
    assert len(stack.api.hits()) == 20
