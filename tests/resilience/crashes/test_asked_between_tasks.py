"""A worker is asked about a run that it has not in memory, and gets more of its history than the last workflow task saw.

The SDK lets workflow code see those events at once, though what comes before the next task is delivered with them in a replay.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHandle

from outlast.client import data_converter
from outlast.contracts import Plan, PlanRequest, PlanResult, PlanStep, RunStatus
from outlast.testing import assert_replays
from outlast.worker.serving import STICKY_TIMEOUT
from tests.processes import dev_server, messages_api, wait_for, worker
from workflows.plan_and_execute import PlanAndExecuteWorkflow

PLAN = Plan(
    steps=(
        PlanStep(step="dig", agent="summariser", input="Collect the facts"),
        PlanStep(step="write", agent="writer", input="Write them up", depends_on=("dig",)),
    )
)

WATCHERS = 12
"""How many ask at once; all are answered."""


async def test_a_question_between_two_tasks_leaves_runs_that_go_on_and_replay(tmp_path: Path) -> None:
    """The question goes to the killed worker first, so the answer by hand is in history before another worker reads it."""
    with (
        dev_server(tmp_path) as server,
        messages_api(tmp_path) as api,
        worker(tmp_path, server, api) as killed,
    ):
        api.script(hold=True)
        client = await Client.connect(server.address, data_converter=data_converter(512 * 1024))
        left, paused = [
            await client.start_workflow(PlanAndExecuteWorkflow.run, PlanRequest(plan=PLAN), id=run, task_queue="agents")
            for run in ("left alone", "paused")
        ]
        await asyncio.to_thread(wait_for, lambda: len(api.hits()) == 2, "the first call of both")
        killed.kill()
        api.reset()
        asked = [asyncio.create_task(status(each)) for each in (left, paused) for _ in range(WATCHERS)]
        await asyncio.sleep(STICKY_TIMEOUT.total_seconds() / 5)
        for each in (left, paused):
            await by_hand(client, each, "the facts")
        killed.start()
        await asyncio.gather(*asked)
        await paused.signal("pause")
        meanwhile = await until_paused(paused)
        results: list[PlanResult] = [await asyncio.wait_for(left.result(), 60)]
        await paused.signal("resume")
        results.append(await asyncio.wait_for(paused.result(), 60))
        histories = [await each.fetch_history() for each in (left, paused)]
        calls = [hit["user"] for hit in api.hits()]
    assert [step.state for step in meanwhile.steps] == ["done", "pending"]
    assert [result.done for result in results] == [len(PLAN.steps)] * 2
    assert ["the facts" in call for call in calls] == [True, True]
    assert await assert_replays(histories, workflows=[PlanAndExecuteWorkflow]) == 2


async def status(handle: "WorkflowHandle[Any, Any]") -> RunStatus:
    found: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=timedelta(seconds=30))
    return found


async def until_paused(handle: "WorkflowHandle[Any, Any]") -> RunStatus:
    async with asyncio.timeout(60):
        while (found := await status(handle)).paused is None:  # noqa: ASYNC110 - only the run knows
            await asyncio.sleep(0.1)
    return found


async def by_hand(client: Client, handle: "WorkflowHandle[Any, Any]", answer: str) -> None:
    (pending,) = (await handle.describe()).raw_description.pending_activities
    await client.get_async_activity_handle(
        workflow_id=handle.id, run_id=None, activity_id=pending.activity_id
    ).complete(answer)
