"""Where a run continues as new: what people said just then, what they and forks find behind it, and too much to hand over."""

import asyncio
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import Changes, DecisionLog, Plan, PlanRequest, PlanStep, ProposedAction, RunState, breaks
from outlast.forks.forking import fork
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.budget.budgeting import chain, dear, status_of
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.continuing.parts import parts_of, questions, replays, runner, server, task_of
from tests.workflow.talking.test_agent_session import calls
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


async def test_gates_early_decisions_and_a_pause_go_along(runner: Runner, tmp_path: Path) -> None:
    """One gate is open at the border, one is settled before it, one is decided before it opens, and the run is paused there."""
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    asked = chain(14, None)
    assert asked.plan is not None
    confirmed = {"2", "14"}
    steps = [step.model_copy(update={"confirm": step.step in confirmed}) for step in asked.plan.steps]
    beside = PlanStep(step="beside", agent="a", input="Beside?", confirm=True)
    going, paused = asyncio.Event(), asyncio.Event()

    async def answer(call: ModelCall) -> ModelReply:
        if "Question 8?" in call.messages[-1][1] and not going.is_set():
            paused.set()
            await going.wait()
        return ModelReply("yes", model="m", usage=dear(call).usage, stop_reason=dear(call).stop_reason)

    async with runner.worker(answer) as llm:
        handle = await runner.start(PLAN, asked.model_copy(update={"plan": Plan(steps=(*steps, beside))}))
        await _waiting(handle, 1)
        shown = {gate.description: gate.name for gate in (await status_of(handle)).gates}
        await _waiting(handle, 1)
        first = next(name for text, name in shown.items() if "Beside?" in text)
        await _waiting_for(handle, "Question 2?")
        second = next(gate.name for gate in (await status_of(handle)).gates if "Question 2?" in gate.description)
        seen = ProposedAction(description="", agent="a", input={"input": "Question 14?"}).digest
        early = await handle.execute_update(
            "decide", {"gate": "gate-3", "by": "eve", "digest": seen, "verdict": "approve"}
        )
        assert early["kind"] == "early"
        await handle.execute_update("decide", {"gate": second, "verdict": "approve", "by": "bob"})
        await paused.wait()
        assert (await handle.execute_update("pause", {"by": "ann", "reason": "lunch"}))["accepted"]
        going.set()
        before = await parts_of(handle)
        assert before >= 2
        status = await status_of(handle)
        assert status.paused is not None
        assert [gate.name for gate in status.gates] == [first]
        assert (await handle.execute_update("resume"))["accepted"]
        await _calls(llm.calls, 14)
        assert [gate.name for gate in (await status_of(handle)).gates] == [first]
        await handle.execute_update("decide", {"gate": first, "verdict": "approve", "by": "cat"})
        result = await handle.result()
        log = await handle.query("decisions", result_type=DecisionLog)
        assert await parts_of(handle) > before
        await replays(handle)
    assert set(questions(llm.calls).values()) == {1}
    assert (len(llm.calls), result.done) == (15, 15)
    assert breaks(log.records) == ()
    assert [(record.kind.value, record.by) for record in log.records if record.message] == [
        ("early", "eve"),
        ("approved", "bob"),
        ("approved", "cat"),
    ]


async def _waiting(handle: WorkflowHandle[Any, Any], gates: int) -> None:
    async with asyncio.timeout(60):
        while len((await status_of(handle)).gates) < gates:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)


async def _waiting_for(handle: WorkflowHandle[Any, Any], text: str) -> None:
    async with asyncio.timeout(60):
        while not any(text in gate.description for gate in (await status_of(handle)).gates):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _calls(made: list[ModelCall], count: int) -> None:
    async with asyncio.timeout(60):
        while len(made) < count:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)


async def test_no_message_that_comes_at_a_border_is_lost(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    messages = 20
    async with runner.worker(lambda _: "yes") as llm:
        handle = await runner.start(PLAN, chain(10, None))
        latest = runner.env.client.get_workflow_handle(handle.id)
        for number in range(messages):
            early = {"gate": f"g{number}", "verdict": "approve", "by": f"p{number}"}
            if number % 2:
                await latest.signal("decide", early)
            else:
                assert (await latest.execute_update("decide", early))["kind"] == "early"
        await handle.result()
        log = await handle.query("decisions", result_type=DecisionLog)
        assert await parts_of(handle) >= 3
    assert len(llm.calls) == 10
    assert sorted(record.by for record in log.records) == sorted(f"p{number}" for number in range(messages))
    assert breaks(log.records) == ()
