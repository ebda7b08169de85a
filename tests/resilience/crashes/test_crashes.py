"""Kill any process at any moment, and the work goes on where it was: real processes, `kill -9`, and a count of model calls."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from outlast.client import data_converter
from outlast.contracts import Plan, PlanRequest, PlanResult, PlanStep, RunState
from tests.processes import DevServer, MessagesApi, RealProcess, dev_server, messages_api, wait_for, worker
from workflows.plan_and_execute import PlanAndExecuteWorkflow

pytestmark = pytest.mark.xdist_group("crashes")

STEPS = 20
CHAIN = Plan(
    steps=tuple(
        PlanStep(step=str(n), agent="writer", input=f"Do job {n:03}.", depends_on=(str(n - 1),) if n > 1 else ())
        for n in range(1, STEPS + 1)
    )
)


@dataclass
class Stack:
    """One server, one double of the Messages API, one worker."""

    server: DevServer
    api: MessagesApi
    working: RealProcess

    async def start(self, plan: Plan, run: str) -> "WorkflowHandle[PlanAndExecuteWorkflow, PlanResult]":
        client = await Client.connect(self.server.address, data_converter=data_converter(512 * 1024))
        return await client.start_workflow(
            PlanAndExecuteWorkflow.run, PlanRequest(plan=plan, max_parallel=6), id=run, task_queue="agents"
        )

    def jobs(self, outcome: str | None = None) -> Counter[str]:
        """How often each job was asked for (and answered, if `outcome` says so)."""
        asked = [hit for hit in self.api.hits() if outcome is None or hit["outcome"] == outcome]
        return Counter(re.findall(r"Do job (\d+)", hit["user"])[0] for hit in asked)

    def restart_worker(self) -> None:
        self.working.start()
        self.working.wait_until(lambda: "worker ready" in self.working.output, "the worker is ready")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with (
        dev_server(tmp_path) as server,
        messages_api(tmp_path, latency=0.15) as api,
        # Large answers keep a small, busy machine from beating in time; how fast a death is noticed is not the matter here.
        worker(tmp_path, server, api, SHUTDOWN_GRACE="20") as working,
    ):
        yield Stack(server, api, working)


async def while_running(
    stack: Stack, run: str, disturb: Callable[[], Any], plan: Plan = CHAIN
) -> tuple[PlanResult, "WorkflowHandle[Any, Any]"]:
    handle = await stack.start(plan, run)
    await asyncio.to_thread(disturb)
    result = await asyncio.wait_for(_patient(handle.result), 90)
    return result, handle


async def _patient(ask: Callable[[], Awaitable[PlanResult]]) -> PlanResult:
    from temporalio.service import RPCError

    while True:
        try:
            return await ask()
        except RPCError:
            await asyncio.sleep(0.2)


def after_calls(stack: Stack, number: int) -> None:
    wait_for(lambda: len(stack.api.hits()) >= number, f"{number} model calls", interval=0.01)


async def test_kill_9_in_the_middle_of_a_stream_asks_that_call_again(stack: Stack) -> None:
    stack.api.script(rules=[{"user": "Do job 005", "times": 1, "breaks": "silence"}])

    def disturb() -> None:
        wait_for(lambda: stack.jobs()["005"] == 1, "job 5 is streaming")
        stack.working.kill()
        stack.restart_worker()

    result, _ = await while_running(stack, "mid-stream", disturb)
    assert result.done == STEPS
    assert stack.jobs()["005"] == 2
    assert sum(stack.jobs().values()) == STEPS + 1


async def test_sixty_steps_and_thirty_large_outputs_keep_history_flat(stack: Stack) -> None:
    stack.api.script(latency=0.0, size=1_000_000)
    wide = [PlanStep(step=str(n), agent="researcher", input=f"Do job {n:03}.") for n in range(30)]
    last = PlanStep(step="all", agent="writer", input="Do job 999.", depends_on=tuple(str(n) for n in range(30)))
    stack.api.script(rules=[{"user": "Do job 999", "size": 2000}])
    _, handle = await while_running(stack, "wide", lambda: None, Plan(steps=(*wide, last)))
    assert await _bytes_per_step(handle, 31) < 1500
    stack.api.script(size=2000)
    layers = [
        PlanStep(
            step=str(n),
            agent="writer",
            input=f"Do job {n:03}.",
            depends_on=tuple(str(d) for d in (n - 6, n - 5) if d >= 0),
        )
        for n in range(60)
    ]
    result, handle = await while_running(stack, "sixty", lambda: None, Plan(steps=tuple(layers)))
    assert result.done == 60
    assert await _bytes_per_step(handle, 60) < 1500


async def _bytes_per_step(handle: "WorkflowHandle[Any, Any]", steps: int) -> float:
    described = await handle.describe(rpc_timeout=timedelta(seconds=10))
    return described.raw_description.workflow_execution_info.history_size_bytes / steps


async def test_kill_9_at_random_moments_of_a_plan_that_continues_as_new_changes_nothing(tmp_path: Path) -> None:
    """Also on the border between two parts: the plan has several, each of a few steps."""
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    steps, kills, width = 48, 2, 6
    jobs = [PlanStep(step=str(n), agent="writer", input=f"Do job {n:03}.") for n in range(1, steps + 1)]
    options = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=50")
    with (
        dev_server(tmp_path, options=options) as server,
        messages_api(tmp_path, latency=0.1) as api,
        worker(tmp_path, server, api, SHUTDOWN_GRACE="20") as working,
    ):
        stack = Stack(server, api, working)

        def disturb() -> None:
            for moment in sorted(chance.sample(range(2, steps - width), kills)):
                after_calls(stack, moment)
                wait_for(lambda: chance.random() < 0.2, "a random moment", interval=0.02)
                stack.working.kill()
                stack.restart_worker()

        result, handle = await while_running(stack, f"parts-{seed}", disturb, Plan(steps=tuple(jobs)))
        last = await handle.describe()
        asked, answered = stack.jobs(), stack.jobs("answered")
    assert (result.state, result.done, result.spend.calls) == (RunState.COMPLETED, steps, steps), seed
    assert last.run_id != handle.first_execution_run_id, seed
    assert len(answered) == steps, (seed, answered)
    assert sum(asked.values()) <= steps + kills * width, (seed, asked)
