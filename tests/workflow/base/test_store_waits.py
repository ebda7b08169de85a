"""A run whose store is away longer than its tasks may stay open waits where the server sees it, loses nothing, and replays."""

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.exceptions import ApplicationError

from outlast.activity import waiting
from outlast.contracts import PlanRequest, RunState
from outlast.errors import ErrorKind
from outlast.llm.scripted import ScriptedLLM
from outlast.storage import wait_activities
from outlast.storage.activities import ContentStore
from outlast.worker.sandbox import TolerantReplayer
from tests.policed import policed
from tests.served import EVERY_WORKFLOW
from tests.workflow.budget.budgeting import writers
from tests.workflow.conftest import Runner
from worker import working
from workflows.plan_and_execute import PlanAndExecuteWorkflow

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


@pytest.mark.parametrize("full", [False, True], ids=["gone", "full"])
async def test_a_local_activity_waits_by_one_that_the_server_knows_for_a_store_that_is_away(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """However it is away: gone, or full, so that little can be written, but not what the run has to keep."""
    monkeypatch.setattr(waiting, "LOCAL_SECONDS", 0.2)
    monkeypatch.setattr(wait_activities, "LONGEST_PAUSE", 0.2)
    root = runner.settings.state_dir / "content"
    llm = ScriptedLLM(lambda _: "Said. " * 500)
    put = ContentStore.put

    async def full_put(store: ContentStore, data: bytes) -> str:
        raise ApplicationError("no space left", type=ErrorKind.CONTENT_UNAVAILABLE)

    async with working(runner.env.client, runner.settings, llm):
        if full:
            monkeypatch.setattr(ContentStore, "put", full_put)
        away = root if full else root.rename(root.with_name("away"))
        handle = await runner.start(PlanAndExecuteWorkflow.run, PlanRequest(plan=writers(2)))
        seen = 0
        while not seen:
            described = (await handle.describe()).raw_description
            seen = sum(pending.activity_type.name == "await_store" for pending in described.pending_activities)
            await asyncio.sleep(0.05)
        if full:
            await asyncio.sleep(1)
            monkeypatch.setattr(ContentStore, "put", put)
        away.rename(root)
        assert llm.calls == []
        result = await handle.result()
        history = await handle.fetch_history()
    assert (result.state, result.done, len(llm.calls)) == (RunState.COMPLETED, 2, 2)
    waits = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == SCHEDULED
    ].count("await_store")
    assert waits > 1 if full else waits == 1
    replayer = TolerantReplayer(
        workflows=EVERY_WORKFLOW, workflow_runner=policed(), data_converter=runner.env.client.data_converter
    )
    await replayer.replay_workflow(history)
