"""What people and forks find of a run that has continued as new, and a run that has too much to hand over."""

import asyncio
from pathlib import Path
from typing import Any

from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import Changes, Plan, PlanRequest, PlanStep, RunState
from outlast.forks.forking import fork
from outlast.llm.base import ModelCall
from tests.workflow.base.test_agent_session import calls
from tests.workflow.base.test_continuing import parts_of, replays, runner, server, task_of
from tests.workflow.budget.budgeting import chain, status_of
from tests.workflow.conftest import Runner, with_agents
from workflows.plan_and_execute import PlanAndExecuteWorkflow

__all__ = ["runner", "server"]

PLAN = PlanAndExecuteWorkflow.run
AGENTS = {"a": "model: sonnet", "clerk": "model: sonnet\ntools: write_file"}
WRITES = PlanStep(step="w", agent="clerk", input="write it")


def writing(call: ModelCall) -> Any:
    if "write" not in task_of(call):
        return "said"
    turn = sum(message["role"] == "assistant" for message in call.history)
    return "written" if turn else calls(("write_file", {"path": "x.md", "content": "x"}), turn=0)


async def test_checkpoints_of_before_a_border_are_there_although_nothing_was_changed_before_it(
    runner: Runner,
    tmp_path: Path,
) -> None:
    runner, held = with_agents(runner, tmp_path / "agents", AGENTS), asyncio.Event()

    async def script(call: ModelCall) -> Any:
        reply = writing(call)
        if reply == "written":
            held.set()
            await asyncio.sleep(3600)
        return reply

    plan = chain(10, None).plan
    assert plan is not None
    last = WRITES.model_copy(update={"depends_on": ("10",)})
    async with runner.worker(script):
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=(*plan.steps, last))))
        await held.wait()
        assert await parts_of(handle) >= 2
        changes = await handle.query("changes", result_type=Changes)
        assert [point.name for point in changes.checkpoints] == [str(number) for number in range(1, 11)]
        assert (await handle.execute_update("rollback", {"checkpoint": "3"}))["accepted"]
    assert not (runner.settings.workspace / "x.md").exists()


async def test_a_fork_of_a_fork_sees_what_became_of_a_run_that_has_continued_as_new_since(
    runner: Runner,
    tmp_path: Path,
) -> None:
    """It was forked in its first part, and rolled back when its last one had ended."""
    runner = with_agents(runner, tmp_path / "agents", AGENTS)
    held, free, written = asyncio.Event(), asyncio.Event(), runner.settings.workspace / "x.md"

    async def script(call: ModelCall) -> Any:
        if "Question 1?" in task_of(call) and not held.is_set():
            held.set()
            await free.wait()
        return writing(call)

    plan = chain(12, None).plan
    assert plan is not None
    first = plan.steps[0].model_copy(update={"depends_on": ("w",)})
    client, store = runner.env.client, runner.store
    async with runner.worker(script):
        begun = await runner.start(PLAN, PlanRequest(plan=Plan(steps=(WRITES, first, *plan.steps[1:]))))
        await held.wait()
        second = await fork(client, begun.id, store=store, from_step="1")
        await second.result()
        assert {row.step: row.note for row in (await status_of(second)).steps}["w"] == f"taken over from {begun.id}"
        free.set()
        await begun.result()
        assert await parts_of(begun) >= 2
        _, whole = await roll_back_ended(Reach(runner.settings, client), await begun.describe(), "")
        assert (whole, written.exists()) == (True, False)
        third = await fork(client, second.id, store=store, from_step="5")
        await third.result()
    assert written.exists(), "its step was undone since, so it is done again"


async def test_a_run_with_too_much_waiting_for_people_goes_on_where_it_is(
    runner: Runner,
    tmp_path: Path,
) -> None:
    """All that waits would be in the first message of the next part, which no server takes: once less waits, it continues."""
    runner, decided = with_agents(runner, tmp_path / "agents", AGENTS), asyncio.Event()
    plan = chain(20, None).plan

    async def script(call: ModelCall) -> Any:
        if "Question 18?" in task_of(call):  # a few steps are left when less waits
            await decided.wait()
        return writing(call)

    assert plan is not None
    gates = [PlanStep(step=f"g{at}", agent="a", input=f"gate {at} " + "x" * 40_000, confirm=True) for at in range(8)]
    async with runner.worker(script):
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=(*gates, *plan.steps))))
        async with asyncio.timeout(60):
            while (await status_of(handle)).spend.calls < 17:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert await parts_of(handle) == 1
        for gate in (await status_of(handle)).gates:
            await handle.signal("approve", {"gate": gate.name, "by": "ann", "digest": gate.digest})
        decided.set()
        assert (await handle.result()).state is RunState.COMPLETED
        assert await parts_of(handle) >= 2
        await replays(handle)
