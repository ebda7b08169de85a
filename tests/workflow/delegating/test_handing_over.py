"""A conversation that is handed over to another agent, and interruptions of one whose agents ask others."""

from pathlib import Path
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from outlast.agents.sessions import MessageState
from outlast.contracts import (
    ChangeState,
    RunStatus,
)
from outlast.llm.base import ModelCall
from tests.workflow.conftest import Runner
from tests.workflow.delegating.delegating import (
    AGENTS,
    SESSION,
    SHOUT,
    asks,
    ours,
    session,
    turn,
    waits_below,
    who,
    writes,
)
from tests.workflow.talking.chats import answered, gate_open, said
from tests.workflow.talking.test_agent_session import calls, results
from tests.workflow.undo.rolling_back import Bench, bench, changes_of
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]


async def test_a_conversation_is_handed_over(runner: Runner, tmp_path: Path) -> None:
    own = ours(
        runner,
        tmp_path,
        {"lead": "agents: [clerk]\nhandoff: true\ntools: Read", "clerk": "tools: Write\nhandoff: lead"},
    )

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return calls(("hand_over_to_clerk", {"reason": "it writes"}), ("list_files", {}), turn=1)
        return writes("done", at=turn(call)) if turn(call) == 1 else "it is done"

    async with own.worker(script) as llm:
        handle = await own.start(SESSION, session())
        result = await handle.result()
        status: RunStatus = await handle.query(AgentSessionWorkflow.status)
    assert (result.answer.text, result.progress.agent) == ("it is done", "clerk")
    assert [who(call) for call in llm.calls] == ["lead", "clerk", "clerk"]
    assert [tool.name for tool in llm.calls[1].tools] == ["hand_over_to_lead", "write_file"]
    assert "because: it writes" in results(llm.calls[1])[0]["content"]
    assert [(hop.origin, hop.target, hop.handoff) for hop in status.hops] == [("lead", "clerk", True)]
    assert status.steps[0].agent == "clerk"


async def test_two_that_send_a_conversation_back_and_forth_come_to_an_end(runner: Runner, tmp_path: Path) -> None:
    own = ours(runner, tmp_path, {"lead": "handoff: clerk", "clerk": "handoff: [lead]"})

    def script(call: ModelCall) -> Any:
        if results(call) and "which is the most" in results(call)[-1]["content"]:
            return "then I answer"
        return calls((f"hand_over_to_{'clerk' if who(call) == 'lead' else 'lead'}", {}), turn=turn(call))

    result, llm = await own.run(script, SESSION, session())
    assert (result.answer.text, len(llm.calls)) == ("then I answer", 12)


async def test_an_interruption_ends_what_an_agent_below_does(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path, {**AGENTS, "clerk": "tools: [shout, Write]"})

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return "I wait" if "wait" in str(call.history[-1:]) else asks(("clerk", "one"))
        return writes("one") if turn(call) == 0 else calls(SHOUT, turn=7)

    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script):
            talk = await bench.runner.start(SESSION, session(conversation=True))
            below = await waits_below(talk)
            await said(talk, {"text": "wait", "by": "ann", "interrupt": True})
            view = await answered(talk, 2)
            ended = await bench.runner.env.client.get_workflow_handle(below.run).describe()
            await talk.signal("delegate_waits", below)  # one that its end has overtaken
            status: RunStatus = await talk.query(AgentSessionWorkflow.status)
            changes = await changes_of(talk)
            await talk.execute_update("end")
            await talk.result()
    assert [each.state for each in view.messages] == [MessageState.INTERRUPTED, MessageState.ANSWERED]
    assert (ended.status, status.below, status.notices) == (WorkflowExecutionStatus.CANCELED, (), ())
    assert [(change.tool, change.state) for change in changes.changes] == [("write_file", ChangeState.DONE)]
    assert bench.did == ["write_file one.md"]


async def test_a_hand_over_in_a_turn_that_is_interrupted_does_not_happen(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path, {"lead": "handoff: clerk\ntools: shout", "clerk": "tools: Write"})

    def script(call: ModelCall) -> Any:
        if "wait" in str(call.history[-1:]):
            return f"{who(call)} waits"
        return calls(("hand_over_to_clerk", {}), SHOUT, turn=1)

    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script) as llm:
            talk = await bench.runner.start(SESSION, session(conversation=True))
            await gate_open(talk)
            await said(talk, {"text": "wait", "by": "ann", "interrupt": True})
            view = await answered(talk, 2)
            await talk.execute_update("end")
            await talk.result()
    assert [each.answer.text for each in view.messages if each.answer] == ["lead waits"]
    assert "handed" not in str(results(llm.calls[-1]))
