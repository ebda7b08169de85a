"""A run whose store is away longer than its tasks may stay open waits by timers, loses nothing, and replays."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer

from outlast.activity import waiting
from outlast.contracts import PlanRequest, RunState
from outlast.llm.scripted import ScriptedLLM
from outlast.workflow import policies
from tests.policed import policed
from tests.served import EVERY_WORKFLOW
from tests.workflow.budget.budgeting import writers
from tests.workflow.conftest import Runner
from worker import working
from workflows.plan_and_execute import PlanAndExecuteWorkflow


async def test_local_activities_wait_by_timers_for_a_store_that_is_away(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOCAL_SECONDS", 0.2)
    monkeypatch.setattr(policies, "LOCAL_RETRIES", timedelta(seconds=0.5))
    root = runner.settings.state_dir / "content"
    llm = ScriptedLLM(lambda _: "Said. " * 500)
    async with working(runner.env.client, runner.settings, llm):
        away = root.rename(root.with_name("away"))
        handle = await runner.start(PlanAndExecuteWorkflow.run, PlanRequest(plan=writers(2)))
        await asyncio.sleep(2)
        assert llm.calls == []
        away.rename(root)
        result = await handle.result()
        history = await handle.fetch_history()
    assert (result.state, result.done, len(llm.calls)) == (RunState.COMPLETED, 2, 2)
    kinds = [event.event_type for event in history.events]
    assert EventType.EVENT_TYPE_TIMER_FIRED in kinds
    replayer = Replayer(
        workflows=EVERY_WORKFLOW, workflow_runner=policed(), data_converter=runner.env.client.data_converter
    )
    await replayer.replay_workflow(history)
