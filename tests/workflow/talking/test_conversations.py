"""A session that stays open for messages: each one is answered or accounted for, and none is answered twice."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.agents.conversation.inbox import MOST_WAITING
from outlast.agents.conversation.reading import Said, read_message
from outlast.agents.sessions import ConversationView, MessageState, SayAnswer, SessionLimits
from outlast.contracts import Budget, RunState, RunStatus, StopReason, Usage
from outlast.errors import ErrorKind, kind_of, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.talking.chats import (
    NOBODY,
    PAID,
    Chat,
    Chatting,
    answered,
    echo,
    heard,
    pay,
    refused,
    said,
    talk,
    the_view,
)
from tests.workflow.talking.test_agent_session import SESSION, calls


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
            mistaken = {"text": "Who am I?", "key": "k"}
            assert (await refused(session, "say", mistaken)).startswith("key: 'k' is that of message 2, which said")
            await session.signal("say", mistaken)
            assert not (await said(session, {"txt": "?"})).accepted
            assert "key: 'k'" in (await session.query("status", result_type=RunStatus)).notices[0]
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
