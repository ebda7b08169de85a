"""Sessions that continue as new, also while a turn waits for people, and messages that come at a bad moment of the worker."""

import asyncio
import re
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest

from outlast.agents import catalog_activities
from outlast.agents.files import read_agents
from outlast.agents.sessions import ConversationView, MessageLog, MessageState, SessionProgress
from outlast.cli.chat.sessions import Said, say
from outlast.cli.decisions.messaging import send_message
from outlast.cli.reaching import Reach
from outlast.contracts import Content, GateRecord, QuestionAnswered, RunReport, RunStatus
from outlast.llm.base import ModelCall, ModelReply
from tests.doubles.own_workflows import LetterRequest, NudgedWorkflow
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.continuing.parts import EVENTS, histories, parts_of, replays, runner, server
from tests.workflow.people.steering import status_when
from tests.workflow.talking.chats import PAID, Chat, Chatting, answered, asked, gate_open, heard, pay, said, talk, told
from tests.workflow.talking.test_agent_session import SESSION, calls, results

__all__ = ["runner", "server"]

TURN = calls(
    ("list_files", {}),
    ("ask_person", {"question": "Which?", "options": ["red", "blue"]}),
    ("ask_person", {"question": "How much?", "form": {"type": "object", "required": ["amount"]}}),
    ("pay", {"amount": 7}),
    turn=1,
)


def script(call: ModelCall) -> ModelReply | str:
    if any(block["type"] == "tool_result" for block in told(call)):
        return f"done {heard(call)}"
    return TURN if "buy" in heard(call) else f"to {heard(call)}"


async def test_a_session_continues_as_new_while_its_turn_waits_for_people(runner: Runner, tmp_path: Path) -> None:
    """What is done is not done again, people are asked the same questions, and their answers reach the call that asked."""
    ours = with_agents(runner, tmp_path / "agents", {"clerk": "tools: list_files, pay, ask_person"})
    PAID.clear()
    async with ours.worker(script, tools=[pay]) as llm:
        session = await ours.start(SESSION, talk("buy it", agent="clerk"))
        questions = await asked(session, 2)
        await gate_open(session)
        shown: RunStatus = await session.query("status", result_type=RunStatus)
        for number in range(2, 32):
            assert (await said(session, {"text": f"also #{number}#", "by": "ann", "key": str(number)})).number == number
        assert await parts_of(session) > 2
        later: RunStatus = await session.query("status", result_type=RunStatus)
        assert (later.questions, later.gates) == (shown.questions, shown.gates)
        which, much = (each.id for each in questions)
        for question, answer in ((much, {"amount": 5}), (which, "blue")):
            given = {"question": question, "answer": answer}
            taken: QuestionAnswered = await session.execute_update("answer", given, result_type=QuestionAnswered)
            assert taken.question == question
        progress: SessionProgress = await session.query("progress", result_type=SessionProgress)
        await session.execute_update("decide", {"verdict": "approve", "by": "bob"})
        view: ConversationView = await answered(session, 31)
        await session.execute_update("end")
        result = await session.result()
        parts = await histories(session)
        await replays(session)
        other = await ours.start(SESSION, talk("And now?", agent="clerk", continues=progress.resumable))
        await answered(other, 1)
        await other.execute_update("end")
        await other.result()
    assert {each.state for each in view.messages} == {MessageState.ANSWERED}
    assert (len(llm.calls), PAID, result.spend.calls) == (3, [7], 2)
    answers = [block["content"] for block in results(llm.calls[1])]
    assert answers[1:] == ["blue", '{"amount": 5}', "paid"]
    assert [heard(llm.calls[1]).count(f"#{number}#") for number in range(2, 32)] == [1] * 30
    assert max(len(part.events) for part in parts) < 3 * EVENTS
    left = [block for block in llm.calls[2].history[-1]["content"] if block["type"] == "tool_result"]
    assert [bool(block.get("is_error")) for block in left] == [False, False, False, True], "each call has its answer"
    assert "nobody knows whether it was made" in left[3]["content"]


async def test_a_chat_crosses_parts_and_each_message_is_answered_once(runner: Runner, tmp_path: Path) -> None:
    """With messages in the middle of turns, interruptions and gates; what is done long ago is in the content store."""
    runner = with_agents(runner, tmp_path / "agents", {"clerk": "tools: list_files, pay, ask_person"})
    PAID.clear()
    async with runner.worker(agent := Chatting(), tools=[pay]) as llm:
        session = await runner.start(SESSION, talk(agent="clerk"))
        chat = Chat(session, agent)
        for kind in (*("plain",) * 14, "slow", "hold", "pay", "plain", "slow", "ask", "pay"):
            await chat.turn(kind)
        again = await said(session, {"text": "plain #1#", "key": "key 1"})
        await session.execute_update("end", {"by": "ann"})
        result = await session.result()
        parts = await histories(session)
        await replays(session)
    view = result.conversation
    earlier = [MessageLog.model_validate_json(await runner.store.text(Content(ref=ref))) for ref in view.earlier]
    messages = [*(each for log in earlier for each in log.messages), *view.messages]
    assert [each.number for each in messages] == list(range(1, 25))
    assert Counter(each.state for each in messages) == {MessageState.ANSWERED: 23, MessageState.INTERRUPTED: 1}
    assert (again.number, again.repeated) == (1, True)
    assert (len(llm.calls), len(PAID), result.spend.calls) == (24 + 3, 2, 24 + 3)
    spoken = Counter(re.findall(r"#(\d+)#", str([m for m in llm.calls[-1].history if m["role"] == "user"])))
    assert set(spoken.values()) == {1}
    assert len(parts) > 3
    assert view.earlier
    assert max(len(part.events) for part in parts) < 2.5 * EVENTS
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert len([call for call in report.trace.calls if call.model]) == 27


async def test_signals_wait_while_the_agents_are_read(real_runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours and those of users: a replay may deliver them after the local activity. Its task is prolonged every 0.8 s here."""
    may_read = threading.Event()

    def slowly(*given: Any) -> Any:
        may_read.wait(30)
        return read_agents(*given)

    async def tasks() -> int:
        events = (await session.fetch_history()).events
        return sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events)

    monkeypatch.setattr(catalog_activities, "read_agents", slowly)
    async with real_runner.worker(script, workflows=[NudgedWorkflow]):
        session = await real_runner.env.client.start_workflow(
            NudgedWorkflow.run,
            LetterRequest(topic="hello"),
            id=f"test-{uuid4().hex[:8]}",
            task_queue=real_runner.settings.task_queue,
            task_timeout=timedelta(seconds=1),
        )
        while not await tasks():  # noqa: ASYNC110 - history has no event to wait for
            await asyncio.sleep(0.02)
        await session.signal("pause", {"by": "ann"})
        await session.signal(NudgedWorkflow.nudge, "hurry")
        delivered = await tasks() + 2
        while await tasks() < delivered:  # noqa: ASYNC110 - nor has it here
            await asyncio.sleep(0.02)
        early: RunStatus = await session.query("status", result_type=RunStatus)
        assert not await session.query(NudgedWorkflow.was_nudged)
        may_read.set()
        late = await status_when(session, lambda status: status.paused is not None)
        await session.signal("resume", {"by": "ann"})
        await session.result()
        await replays(session, NudgedWorkflow)
    assert early.paused is None
    assert late.paused is not None


async def test_an_update_that_a_worker_has_not_looked_at_is_sent_as_a_signal(real_runner: Runner) -> None:
    """Here the worker ends each workflow task at once, as one that is busy with a local activity may."""
    client, queue = real_runner.env.client, f"test-{uuid4().hex[:8]}"

    async def end_tasks() -> None:
        service = client.workflow_service
        asked = PollWorkflowTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="x")
        while True:
            task = await service.poll_workflow_task_queue(asked)
            if task.task_token:
                ended = RespondWorkflowTaskCompletedRequest(task_token=task.task_token, identity="x")
                await service.respond_workflow_task_completed(ended)

    worker = asyncio.create_task(end_tasks())
    try:
        session = await client.start_workflow(SESSION, talk("hello"), id=f"test-{uuid4().hex[:8]}", task_queue=queue)
        reach, found = Reach(real_runner.settings, client), await session.describe()
        assert await reach.served_soon(found)
        assert await send_message(reach, found, "decide", {"verdict": "approve", "by": "bob"}, GateRecord) is None
        taken = await say(reach, session.id, Said("more", by="bob", key="k"), None)
        assert not taken.answered
        events = (await session.fetch_history()).events
    finally:
        worker.cancel()
    signals = [event.workflow_execution_signaled_event_attributes.signal_name for event in events]
    assert [name for name in signals if name] == ["decide", "say"]
    await session.terminate()
