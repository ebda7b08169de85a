"""Runs whose agents ask other agents, and that continue as new while they do."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from outlast.cli.reaching import Reach
from outlast.cli.recorded.delegates import whole_tree
from outlast.contracts import Changes, DecisionLog, DelegationLimits, Plan, PlanRequest, PlanStep
from outlast.llm.base import ModelCall
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.continuing.parts import histories, parts_of, replays, runner, server
from tests.workflow.people.steering import status_when
from tests.workflow.talking.chats import PAID, answered, pay, said, talk
from tests.workflow.talking.test_agent_session import SESSION, calls
from workflows.plan_and_execute import PlanAndExecuteWorkflow

__all__ = ["runner", "server"]

PLAN = PlanAndExecuteWorkflow.run
ASKING = {"lead": "agents: [clerk]", "clerk": "tools: write_file\nagents: [thinker]", "thinker": "model: sonnet"}


def asking_others(call: ModelCall) -> Any:
    """A lead has a clerk write a file, who asks a thinker first."""
    turn, name = sum(message["role"] == "assistant" for message in call.history), call.system.split()[-1].rstrip(".")
    said = re.findall(r"Write (\w+)", str([m for m in call.history if m["role"] == "user"] or call.messages))[-1]
    if name == "lead":
        last = call.history[-1]["content"][0]["type"] if call.history else ""
        return (
            "done" if last == "tool_result" else calls(("ask_clerk", {"task": f"Write {said}"}), turn=len(call.history))
        )
    if name == "thinker":
        return "thought"
    acts = ("ask_thinker", {"task": f"Write {said}"}), ("write_file", {"path": f"{said}.md", "content": said})
    return calls(acts[turn], turn=turn) if turn < len(acts) else f"wrote {said}"


async def test_a_plan_whose_agents_ask_others_crosses_borders_between_their_runs(
    runner: Runner, tmp_path: Path
) -> None:
    """What runs below have asked goes on counting: of four agents in all, the second clerk may ask none."""
    runner = with_agents(runner, tmp_path / "agents", ASKING)
    names = ("a", "b")
    steps = tuple(
        PlanStep(step=each, agent="lead", input=f"Write {each}", depends_on=names[:at][-1:])
        for at, each in enumerate(names)
    )
    async with runner.worker(asking_others) as llm:
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=steps), delegation=DelegationLimits(count=4)))
        result = await handle.result()
        parts = await histories(handle)
        await replays(handle)
        changes = await handle.query("changes", result_type=Changes)
    assert len(parts) >= 2
    for part in parts:
        kinds = Counter(event.WhichOneof("attributes") for event in part.events)
        begun = kinds["child_workflow_execution_started_event_attributes"]
        assert begun == kinds["child_workflow_execution_completed_event_attributes"], "a border while a run below works"
    made = Counter(call.system.split()[-1].rstrip(".") for call in llm.calls)
    assert made == {"lead": 4, "clerk": 6, "thinker": 1}
    assert result.spend.calls == len(llm.calls)
    assert [change.arguments.split(",")[0] for change in changes.changes] == ["path=a.md", "path=b.md"]


async def test_a_conversation_whose_agent_asks_others_crosses_borders(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", ASKING)
    async with runner.worker(asking_others) as llm:
        session = await runner.start(SESSION, talk(agent="lead"))
        for number in range(1, 3):
            assert (await said(session, f"Write x{number}")).accepted
            await answered(session, number)
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        parts = await parts_of(session)
        await replays(session)
    assert parts >= 2
    assert (len(llm.calls), result.spend.calls) == (2 * 6, 2 * 6)
    assert [change.arguments.split(",")[0] for change in result.progress.changes.changes] == [
        f"path=x{number}.md" for number in range(1, 3)
    ]
    assert result.progress.asked == 2, "the count of agents begins anew with each message"


async def test_the_run_of_an_agent_below_crosses_borders_with_what_people_decided(
    runner: Runner, tmp_path: Path
) -> None:
    """What it changed and spent counts once above, whichever part of it that was."""
    agents = {"lead": "agents: [clerk]\ntools: pay", "clerk": "tools: list_files, pay"}
    runner, client = with_agents(runner, tmp_path / "agents", agents), runner.env.client
    PAID.clear()

    def script(call: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in call.history)
        if "lead" in call.system:
            return (calls(("ask_clerk", {"task": "Pay"})), calls(("pay", {"amount": 3}), turn=1), "done")[turn]
        if turn in (0, 11):
            return calls(("pay", {"amount": turn + 1}), turn=turn)
        return "paid" if turn > 11 else calls(("list_files", {}), turn=turn)

    async with runner.worker(script, tools=[pay]) as llm:
        session = await runner.start(SESSION, talk(agent="lead"))
        await said(session, "Go")
        (below,) = (await status_when(session, lambda status: status.below)).below
        child = client.get_workflow_handle(below.run)
        await child.signal("approve", {"by": "ann", "stop_asking": {"at_most": {"amount": 20}}})
        await answered(session, 1)
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        log = await session.query("decisions", result_type=DecisionLog)
        changes = await session.query("changes", result_type=Changes)
        reach = Reach(runner.settings, client)
        found = await reach.find(session.id)
        _, trace = await whole_tree(reach, await reach.status(found), await reach.trace(found))
        parts = await parts_of(child)
        await replays(child)
        await replays(session)
    assert (parts >= 3, await parts_of(session) >= 2) == (True, True)
    assert (PAID, [change.agent for change in changes.changes]) == ([1, 12, 3], ["clerk", "clerk", "lead"])
    assert len(llm.calls) == result.spend.calls == sum(call.spend.calls for call in trace.calls) == 3 + 13
    assert [record.kind for record in log.records] == ["shared", "covered"]
    assert sum(call.approved.startswith("approved by ann for this run") for call in trace.calls) == 2
