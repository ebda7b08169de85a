"""A session that stays open for messages: each one is answered or accounted for, and none is answered twice."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from outlast.agents.sessions import AgentSessionRequest, ConversationView, MessageState, SayAnswer, SessionLimits
from outlast.contracts import Question, RunState, RunStatus
from outlast.llm.base import ModelCall
from tests.workflow.base.test_agent_session import SESSION, calls, in_turn, results
from tests.workflow.conftest import Runner, with_agents
from workflows.agent_session import AgentSessionWorkflow

Session = WorkflowHandle[Any, Any]


def talk(task: str = "", agent: str = "file-clerk", **fields: Any) -> AgentSessionRequest:
    return AgentSessionRequest(agent=agent, task=task, conversation=True, **fields)


def heard(call: ModelCall) -> str:
    """What the agent is told last, tool results left out."""
    content = call.history[-1]["content"] if call.history else ""
    if isinstance(content, str):
        return content
    return " | ".join(block["text"] for block in content if block["type"] == "text")


def echo(call: ModelCall) -> str:
    said = heard(call) or call.messages[-1][1]
    return f"to {said}"


async def said(session: Session, text: Any) -> SayAnswer:
    answer: SayAnswer = await session.execute_update("say", text, result_type=SayAnswer)
    return answer


async def the_view(session: Session) -> ConversationView:
    return await session.query(AgentSessionWorkflow.conversation)


async def answered(session: Session, number: int) -> ConversationView:
    """The conversation once this message is done."""
    async with asyncio.timeout(30):
        while True:
            view = await the_view(session)
            if any(each.number == number and each.ended for each in view.messages):
                return view
            await asyncio.sleep(0.02)


async def test_messages_are_answered_one_by_one_until_the_session_is_ended(runner: Runner) -> None:
    async with runner.worker(echo) as llm:
        with runner.env.auto_time_skipping_disabled():
            session = await runner.start(SESSION, talk("Hello"))
            await answered(session, 1)
            assert await said(session, {"text": "Who are you?", "by": "Ann", "key": "k"}) == SayAnswer(
                accepted=True, number=2
            )
            await answered(session, 2)
            again = await said(session, {"text": "Who are you?", "by": "Ann", "key": "k"})
            assert (again.number, again.repeated) == (2, True)
            assert not (await said(session, {"txt": "?"})).accepted
            await session.signal("say", "And Ben?")
            view = await answered(session, 3)
            await session.execute_update("end")
            result = await session.result()
    assert [(each.number, each.state, each.answer and each.answer.text) for each in view.messages] == [
        (1, MessageState.ANSWERED, "to Hello"),
        (2, MessageState.ANSWERED, "to Ann: Who are you?"),
        (3, MessageState.ANSWERED, "to And Ben?"),
    ]
    assert (result.state, result.answer.text, len(llm.calls)) == (RunState.COMPLETED, "to And Ben?", 3)
    assert result.progress.transcript.messages == 6


FORM = {"type": "object", "properties": {"amount": {"type": "number"}}, "required": ["amount"]}


async def test_an_agent_asks_a_person_for_a_text_a_choice_and_a_form(runner: Runner, tmp_path: Path) -> None:
    """Whoever works on a file of Claude Code: `AskUserQuestion` is the same tool. An answer that does not fit is asked again."""
    ours = with_agents(runner, tmp_path / "agents", {"asker": "tools: AskUserQuestion, list_files"})
    script = in_turn(
        calls(
            ("ask_person", {"question": "Which one?", "options": ["red", "blue"]}),
            ("ask_person", {"question": "Why?"}),
            ("ask_person", {"question": "Fill in", "form": FORM}),
            ("ask_person", {"question": "Fill in", "form": {"type": "nothing"}}),
            ("ask_person", {}),
            turn=1,
        ),
        "Thanks.",
    )
    async with ours.worker(script) as llm:
        session = await ours.start(SESSION, talk("Ask", "asker", limits=SessionLimits(seconds=60)))
        with ours.env.auto_time_skipping_disabled():
            questions = await asked(session, 3)
            by_text = {one.text.partition(" (")[0]: one for one in questions}
            assert [one.deadline for one in questions] == [None] * 3
            assert by_text["Which one?"].options == ("red", "blue")
            assert by_text["Fill in"].form == FORM
            await session.signal("answer", {"question": by_text["Which one?"].id, "answer": "green"})
            await session.signal("answer", {"question": by_text["Fill in"].id, "answer": {"amount": "much"}})
            await noticed(session, 2)
        await ours.env.sleep(timedelta(hours=10))  # people's time is none of the agent's
        with ours.env.auto_time_skipping_disabled():
            await asked(session, 3)
            await session.signal("answer", {"question": by_text["Fill in"].id, "answer": {"amount": 5}})
            await session.signal("answer", {"question": by_text["Which one?"].id, "answer": "BLUE"})
            await session.signal("answer", {"question": by_text["Why?"].id, "answer": "it is nicer"})
            view = await answered(session, 1)
            status: RunStatus = await session.query("status", result_type=RunStatus)
    assert [each.state for each in view.messages] == [MessageState.ANSWERED]
    told = results(llm.calls[1])
    assert [block["content"] for block in told[:3]] == ["blue", "it is nicer", '{"amount": 5}']
    assert [bool(block.get("is_error")) for block in told] == [False, False, False, True, True]
    assert "not a JSON schema" in told[3]["content"]
    assert "question: a text" in told[4]["content"]
    assert ["'green' is not one of" in status.notices[0], "'much' is not of type" in status.notices[1]] == [True, True]


async def noticed(session: Session, count: int) -> None:
    """Wait until so many answers were turned down."""
    async with asyncio.timeout(30):
        while len((await session.query("status", result_type=RunStatus)).notices) < count:
            await asyncio.sleep(0.02)


async def asked(session: Session, count: int) -> Sequence[Question]:
    """The questions of a run, once there are so many."""
    async with asyncio.timeout(30):
        while True:
            status: RunStatus = await session.query("status", result_type=RunStatus)
            if len(status.questions) == count:
                return status.questions
            await asyncio.sleep(0.02)
