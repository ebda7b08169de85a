"""A session that people talk to, and an agent that does what it is told, for the tests of conversations."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from outlast.agents.sessions import AgentSessionRequest, ConversationView, SayAnswer
from outlast.contracts import Effect, GatePolicy, Question, RunStatus
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.tools.tool import tool
from tests.workflow.talking.test_agent_session import calls
from workflows.agent_session import AgentSessionWorkflow

Session = WorkflowHandle[Any, Any]
NOBODY = GatePolicy(deadline=1, deadlines={})


def talk(task: str = "", agent: str = "file-clerk", **fields: Any) -> AgentSessionRequest:
    return AgentSessionRequest(agent=agent, task=task, conversation=True, **fields)


def told(call: ModelCall) -> list[dict[str, Any]]:
    """The blocks of what the agent is told last."""
    if not call.history:
        return [{"type": "text", "text": call.messages[-1][1]}]
    blocks: list[dict[str, Any]] = call.history[-1]["content"]
    return blocks


def heard(call: ModelCall) -> str:
    """What people have said last to the agent."""
    return " ".join(block["text"] for block in told(call) if block["type"] == "text")


def echo(call: ModelCall) -> str:
    return f"to {heard(call)}"


async def said(session: Session, text: Any) -> SayAnswer:
    answer: SayAnswer = await session.execute_update("say", text, result_type=SayAnswer)
    return answer


async def refused(session: Session, update: str, given: Any) -> str:
    """Send an update that is refused; returns the reason."""
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await session.execute_update(update, given)
    assert isinstance(refusal.value.cause, ApplicationError)
    return refusal.value.cause.message


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


async def noticed(session: Session, count: int) -> None:
    """Wait until so many answers were turned down."""
    async with asyncio.timeout(30):
        while len((await session.query("status", result_type=RunStatus)).notices) < count:  # noqa: ASYNC110  nor has a notice
            await asyncio.sleep(0.02)


async def asked(session: Session, count: int) -> Sequence[Question]:
    """The questions of a run, once there are so many."""
    async with asyncio.timeout(30):
        while True:
            status: RunStatus = await session.query("status", result_type=RunStatus)
            if len(status.questions) == count:
                return status.questions
            await asyncio.sleep(0.02)


class Pay(BaseModel):
    """Arguments of pay."""

    amount: int


PAID: list[int] = []


@tool(effect=Effect.IRREVERSIBLE)
def pay(arguments: Pay) -> str:
    """Pay."""
    PAID.append(arguments.amount)
    return "paid"


class Chatting:
    """An agent that is asked for tools, payments, and work that takes for ever, and people who wait until it is at it."""

    def __init__(self) -> None:
        self.at_work, self.free = asyncio.Event(), asyncio.Event()

    def __call__(self, call: ModelCall) -> Any:
        said, turn = heard(call), len(call.history)
        if any(block["type"] == "tool_result" for block in told(call)):
            return f"done {said}".strip()
        if "hold" in said.rpartition("]")[2]:
            return self._held()
        if "slow" in said.rpartition("]")[2]:
            return self._listing(turn)
        if "ask" in said.rpartition("]")[2]:
            return calls(("ask_person", {"question": "Sure?"}), turn=turn)
        if "pay" in said.rpartition("]")[2]:
            return calls(("pay", {"amount": turn}), turn=turn)
        if "wrong" in said.rpartition("]")[2]:
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not like this")
        return f"to {said}"

    async def _held(self) -> str:
        self.at_work.set()
        await asyncio.sleep(3600)
        return "never"

    async def _listing(self, turn: int) -> ModelReply:
        self.at_work.set()
        await self.free.wait()
        return calls(("list_files", {}), turn=turn)


@dataclass
class Chat:
    """A session, and the people who talk to it."""

    session: Session
    agent: Chatting
    sent: int = 0

    async def say(self, text: str, *, interrupt: bool = False) -> int:
        self.sent += 1
        by = ("ann", "ben")[self.sent % 2]
        given = {"text": f"{text} #{self.sent}#", "by": by, "interrupt": interrupt, "key": f"key {self.sent}"}
        for repeated in (False, True):  # as whoever did not hear the answer
            answer = await said(self.session, given)
            assert (answer.accepted, answer.number, answer.repeated) == (True, self.sent, repeated), answer
        return self.sent

    async def turn(self, kind: str) -> None:
        """Say something, and wait for what comes of it; a slow or held turn takes a second message in the middle."""
        self.agent.at_work.clear()
        self.agent.free.clear()
        first = await self.say(kind)
        if kind in ("slow", "hold"):
            await asyncio.wait_for(self.agent.at_work.wait(), 30)
            await self.say("meanwhile", interrupt=kind == "hold")
            self.agent.free.set()
            await answered(self.session, first + 1)
        elif kind == "pay":
            await gate_open(self.session)
            await self.session.signal("approve", {"by": "carl"})
        elif kind == "ask":
            await asked(self.session, 1)
            await self.session.signal("answer", "yes")
        elif kind == "ask at once":
            await asked(self.session, 1)
            await self.session.execute_update("answer", "yes")
        await answered(self.session, first)


async def gate_open(session: Session) -> None:
    async with asyncio.timeout(30):
        while not (await session.query("status", result_type=RunStatus)).gates:  # noqa: ASYNC110  a query has no event
            await asyncio.sleep(0.02)
