"""Runs that are asked how they stand from their first moment on, as every watching page does, and then lose their worker's cache.

A query that comes with a workflow task makes the SDK hand over a local activity's result in the next task, and on replay in the
same one: whatever follows it must not depend on that.
"""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from outlast.cli.recorded.decisions import audit_events
from outlast.client import data_converter
from outlast.contracts import DecisionLog, Plan, PlanRequest, PlanStep
from tests.processes import dev_server, messages_api, worker
from tests.workflow.people.gating import waiting
from workflows.plan_and_execute import PlanAndExecuteWorkflow

pytestmark = pytest.mark.timeout(120)

RUNS = 12
PLAN = Plan(steps=(PlanStep(step="send", agent="writer", input="Send the letter", confirm=True),))


async def polled(client: Client, run: str) -> WorkflowHandle[PlanAndExecuteWorkflow, object]:
    """Start a run, poll it until its gate waits, and deny it with polls in flight."""
    handle = await client.start_workflow(
        PlanAndExecuteWorkflow.run, PlanRequest(plan=PLAN), id=run, task_queue="agents"
    )

    async def poll() -> None:
        while True:
            await handle.query(PlanAndExecuteWorkflow.status)
            await asyncio.sleep(0.01)

    polling = asyncio.create_task(poll())
    await waiting(handle)
    await handle.signal("deny", {"by": "bob", "reason": "not today"})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    return handle


async def test_a_run_that_is_polled_all_the_time_replays_and_keeps_its_decision_log(tmp_path: Path) -> None:
    converter = data_converter(512 * 1024)
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api, worker(tmp_path, server, api) as process:
        client = await Client.connect(server.address, data_converter=converter)
        handles = await asyncio.gather(*(polled(client, f"polled-{number}") for number in range(RUNS)))
        process.kill()
        process.start()
        for handle in handles:
            status = await handle.query(PlanAndExecuteWorkflow.status)
            assert status.steps[0].note == "gate-1: it was denied by bob (not today)"
            replayed: DecisionLog = await handle.query(PlanAndExecuteWorkflow.decisions)
            recorded = await audit_events((await handle.fetch_history()).events, converter)
            assert not recorded.problems
            assert recorded.records == replayed.records
