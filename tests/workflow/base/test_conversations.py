"""A session that stays open for messages: each one is answered or accounted for, and none is answered twice."""

import asyncio
from typing import Any

from temporalio.client import WorkflowHandle

from outlast.agents.sessions import AgentSessionRequest, ConversationView, MessageState, SayAnswer
from outlast.contracts import RunState
from outlast.llm.base import ModelCall
from tests.workflow.base.test_agent_session import SESSION
from tests.workflow.conftest import Runner
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
