"""A session that stays open for messages: each one is answered or accounted for, and none is answered twice."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowFailureError, WorkflowHandle

from outlast.agents.conversation.inbox import MOST_WAITING
from outlast.agents.conversation.reading import Said, read_message
from outlast.agents.sessions import AgentSessionRequest, ConversationView, MessageState, SayAnswer, SessionLimits
from outlast.contracts import Budget, Effect, GatePolicy, Question, RunState, RunStatus, StopReason, Usage
from outlast.errors import ErrorKind, kind_of, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.tools.tool import tool
from tests.workflow.base.test_agent_session import SESSION, calls, in_turn, results
from tests.workflow.conftest import Runner, with_agents
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
            once = {"answer": "BLUE", "key": "k-1"}
            await session.signal("answer", {"question": by_text["Which one?"].id, **once})
            await session.signal(
                "answer", {"question": by_text["Why?"].id, **once}
            )  # sent again: it answers nothing else
            again = await said(session, {"text": "BLUE", "key": "k-1"})
            assert (again.number, again.repeated) == (0, True)
            await session.signal("answer", {"question": by_text["Why?"].id, "answer": "it is nicer"})
            view = await answered(session, 1)
            status: RunStatus = await session.query("status", result_type=RunStatus)
    assert [each.state for each in view.messages] == [MessageState.ANSWERED]
    results_of = results(llm.calls[1])
    assert [block["content"] for block in results_of[:3]] == ["blue", "it is nicer", '{"amount": 5}']
    assert [bool(block.get("is_error")) for block in results_of] == [False, False, False, True, True]
    assert "not a JSON schema" in results_of[3]["content"]
    assert "question: a text" in results_of[4]["content"]
    assert ["'green' is not one of" in status.notices[0], "'much' is not of type" in status.notices[1]] == [True, True]


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
        await answered(self.session, first)


async def gate_open(session: Session) -> None:
    async with asyncio.timeout(30):
        while not (await session.query("status", result_type=RunStatus)).gates:  # noqa: ASYNC110  a query has no event
            await asyncio.sleep(0.02)


HALF = (*("plain",) * 3, "slow", "slow", "pay", "hold", *("plain",) * 4, "slow", "slow", "slow", *("plain",) * 4)


def accounted(view: ConversationView) -> Counter[str]:
    assert [each.number for each in view.messages] == list(range(1, view.total + 1))
    return Counter(each.state for each in view.messages)


async def test_a_chat_of_50_messages_over_two_days_answers_each_once_and_stays_flat(
    runner: Runner, tmp_path: Path
) -> None:
    ours = with_agents(runner, tmp_path / "agents", {"clerk": "tools: list_files, pay"})
    PAID.clear()
    turns = (*HALF, "hold", *HALF)
    async with ours.worker(agent := Chatting(), tools=[pay]) as llm:
        session = await ours.start(SESSION, talk(agent="clerk"))
        chat, sizes = Chat(session, agent), [0]
        for number, kind in enumerate(turns, 1):
            with ours.env.auto_time_skipping_disabled():
                await chat.turn(kind)
            await ours.env.sleep(timedelta(hours=48) / len(turns))
            if number in (len(HALF), len(turns)):
                sizes.append((await session.describe()).history_length)
        view = await the_view(session)
        await session.execute_update("end")
        result = await session.result()
        history = await session.fetch_history()
    assert accounted(view) == {MessageState.ANSWERED: 47, MessageState.INTERRUPTED: 3}
    # One call for each message; one more where a tool was called, and none for what was said meanwhile.
    assert len(llm.calls) == 50 + 2
    assert len(PAID) == 2
    spoken = Counter(re.findall(r"#(\d+)#", str([m for m in llm.calls[-1].history if m["role"] == "user"])))
    assert spoken == {str(number): 1 for number in range(1, 51)}
    assert {each.answer.text for each in view.messages if each.answer} >= {
        "to ben: plain #1#",
        "done ben: meanwhile #5#",
    }
    assert (result.state, result.conversation.people, result.spend.calls) == (RunState.COMPLETED, ("ben", "ann"), 52)
    first, second = sizes[1], sizes[2] - sizes[1]
    assert second * 24 < 1.1 * first * 26, sizes
    timers = [each for each in history.events if each.HasField("timer_started_event_attributes")]
    assert len(timers) == 2  # the deadlines of the gates: waiting for people who say something needs none


def troubled(call: ModelCall) -> Any:
    """Fail in each way that a message can, by what it says."""
    said = heard(call)
    if "bad words" in said:
        raise non_retryable(ErrorKind.MODEL_REJECTED, "not like this")
    if "refuse" in said:
        return ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), call.model)
    if "for ever" in str(call.history[-4:] or call.messages):
        return calls(("list_files", {}), turn=len(call.history))
    return echo(call)


async def test_a_message_that_fails_or_meets_a_limit_says_so_and_the_next_is_answered(runner: Runner) -> None:
    async with runner.worker(troubled) as llm:
        with runner.env.auto_time_skipping_disabled():
            limits = SessionLimits(turns=2)
            session = await runner.start(SESSION, talk("bad words", limits=limits, budget=Budget(calls=7, gate=NOBODY)))
            for number, text in enumerate(("one", "please refuse", "two", "work for ever", "three", "four"), 2):
                await answered(session, number - 1)
                await said(session, text)
            view = await answered(session, 7)
            with pytest.raises(WorkflowFailureError) as failure:
                await session.result()
    model = llm.calls[0].model
    found = [(each.state, each.reason.partition(" (")[0]) for each in view.messages]
    assert found == [
        (MessageState.FAILED, "not like this"),
        (MessageState.ANSWERED, ""),
        (MessageState.FAILED, f"{model} refused to go on"),
        (MessageState.ANSWERED, ""),
        (MessageState.STOPPED, "its 2 turns are used up"),
        (MessageState.ANSWERED, ""),
        (MessageState.FAILED, "the budget is reached"),
    ]
    assert kind_of(failure.value.cause) is ErrorKind.BUDGET_REACHED
    spoken = str([m for m in llm.calls[-1].history if m["role"] == "user"])
    assert ["bad words" in spoken, "refuse" in spoken, "for ever" in spoken] == [False, False, True]


async def test_an_end_at_once_gives_up_what_waits_and_a_later_session_goes_on(real_runner: Runner) -> None:
    async with real_runner.worker(agent := Chatting()):
        session = await real_runner.start(SESSION, talk("hold"))
        await asyncio.wait_for(agent.at_work.wait(), 30)
        await said(session, "and this?")
        only_interrupts = await said(session, {"interrupt": True, "text": ""})
        assert (only_interrupts.accepted, only_interrupts.number, only_interrupts.interrupted) == (True, 0, True)
        await answered(session, 2)
        agent.at_work.clear()
        long = "long " * 1000
        await said(session, f"{long} hold")
        await asyncio.wait_for(agent.at_work.wait(), 30)
        await said(session, "too late")
        await session.execute_update("end", {"by": "ann", "now": True})
        assert (await said(session, "hello?")).reason.startswith("the session has been ended")
        result = await session.result()
        view = await the_view(session)
        more = await real_runner.start(SESSION, talk("go on", continues=result.progress.resumable))
        later = await answered(more, 1)
        await more.cancel()
        with pytest.raises(WorkflowFailureError):
            await more.result()
    assert [(each.state, each.reason) for each in view.messages] == [
        (MessageState.INTERRUPTED, "interrupted"),
        (MessageState.ANSWERED, ""),
        (MessageState.INTERRUPTED, "interrupted by ann"),
        (MessageState.FAILED, "the session was ended by ann"),
    ]
    assert await real_runner.text(view.messages[2].text) == f"{long} hold"
    assert (later.messages[0].state, later.total) == (MessageState.ANSWERED, 1)


async def test_whoever_interrupts_is_heard_though_as_many_wait_as_may(real_runner: Runner) -> None:
    async with real_runner.worker(agent := Chatting()):
        session = await real_runner.start(SESSION, talk("hold"))
        await asyncio.wait_for(agent.at_work.wait(), 30)
        await asyncio.gather(*(session.signal("say", f"message {number}") for number in range(MOST_WAITING)))
        assert "100 messages wait already" in (await said(session, "one more")).reason
        stop, again, only = [await said(session, {"text": text, "interrupt": True}) for text in ("stop", "stop!", "")]
        await answered(session, stop.number)
        await session.signal("end")
        await session.result()
    assert (stop.accepted, stop.number, stop.interrupted) == (True, MOST_WAITING + 2, True)
    assert only.accepted
    assert again.number in (0, MOST_WAITING + 3), "while it is being interrupted, no more than one goes beyond"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ((), "is no message"),
        ((1, 2), "2 inputs"),
        (({"text": ""},), "text: it is empty"),
        (({"texts": "x"},), "nobody knows a field 'texts'"),
        (({"text": ["x"]},), "text: ['x'] is not a text"),
        (({"text": "x", "interrupt": "perhaps"},), "interrupt: 'perhaps' is neither"),
        (({"text": "x", "key": "k" * 201},), "key: more than 200"),
        (({"ref": "x"},), "ref: 'x' is no key"),
        (({"ref": "a" * 43, "size": -1},), "size: -1 is no count"),
        ((True,), "True is no message"),
    ],
)
def test_what_is_no_message_is_answered_with_the_reason(sent: tuple[Any, ...], why: str) -> None:
    read = read_message(sent)
    assert isinstance(read, str)
    assert why in read


@pytest.mark.parametrize("sent", ["{not json}", "[1, 2]", "plain", 5, b"bytes", {"text": "x\ud800"}, '{"text": "y"}'])
def test_what_people_write_is_a_message(sent: Any) -> None:
    read = read_message((sent,))
    assert isinstance(read, Said)
    assert read.says
    assert read.text.encode()
