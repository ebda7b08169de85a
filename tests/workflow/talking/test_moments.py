"""What people do at a bad moment: whatever the agent is at, each message is accounted for and each tool call has its answer."""

import asyncio
import random
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity

from outlast.agents.sessions import AgentSessionResult, MessageState, SayAnswer
from outlast.contracts import Effect
from outlast.llm.base import ModelCall
from outlast.tools.tool import tool
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.talking.chats import Session, answered, asked, gate_open, heard, pay, said, talk, told
from tests.workflow.talking.test_agent_session import SESSION, calls

TOOLS = "tools: look, dig, pay, ask_person"
DONE = (MessageState.ANSWERED, MessageState.INTERRUPTED)
BUSY: Counter[str] = Counter()
"""How many models and tools are at it, by what they are."""
FREE: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""Lets the tool `dig` end, by the run that called it."""


class Nothing(BaseModel):
    """No arguments."""


@tool(effect=Effect.READ)
async def look(arguments: Nothing) -> str:
    """Look for ever."""
    BUSY["look"] += 1
    await asyncio.sleep(3600)
    return "never"


@tool(effect=Effect.IRREVERSIBLE)
async def dig(arguments: Nothing) -> str:
    """Dig; what has begun is finished."""
    BUSY["dig"] += 1
    await FREE[activity.info().workflow_id or ""].wait()
    return "dug"


ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "look": ("look", {}),
    "dig": ("dig", {}),
    "question": ("ask_person", {"question": "Sure?"}),
    "gate": ("pay", {"amount": 1}),
}
ACTS = ("interrupt", "only-interrupt", "end", "end-now")


async def at(call: ModelCall) -> Any:
    """Do what is asked for with `at NAME`: call that tool, or think for ever; answer all else."""
    asked_for = re.search(r"at (\w+)", heard(call).rpartition("]")[2])
    if asked_for is None or any(block["type"] == "tool_result" for block in told(call)):
        return f"to {heard(call)}"
    if asked_for[1] != "model":
        return calls(ASKED[asked_for[1]], turn=len(call.history))
    BUSY["model"] += 1
    await asyncio.sleep(3600)
    return "never"


def unanswered(call: ModelCall) -> list[str]:
    """The tool calls of a conversation whose answer is not in the message behind them: no API takes that."""
    behind = [*call.history[1:], {"content": []}]
    found = []
    for message, after in zip(call.history, behind, strict=False):
        blocks = message["content"] if isinstance(message["content"], list) else []
        answers = [each.get("tool_use_id") for each in after["content"] if isinstance(each, dict)]
        found += [each["id"] for each in blocks if each["type"] == "tool_use" and each["id"] not in answers]
    return found


async def until_at_it(moment: str, session: Session, count: int) -> None:
    if moment == "question":
        await asked(session, 1)
    elif moment == "gate":
        await gate_open(session)
    else:
        async with asyncio.timeout(30):
            while BUSY[moment] < count:  # noqa: ASYNC110  several are waited for
                await asyncio.sleep(0.02)


async def free(moment: str, session: Session) -> None:
    """Let what goes on end by itself."""
    if moment == "question":
        await session.execute_update("answer", "yes")
    elif moment == "gate":
        await session.execute_update("decide", {"verdict": "approve", "by": "ann"})
    elif moment == "dig":
        FREE[session.id].set()


async def _then(runner: Runner, moment: str, act: str, count: int) -> list[str]:
    session = await runner.start(SESSION, talk(f"at {moment}", agent="clerk", allowed=("dig",)))
    await until_at_it(moment, session, count)
    waiting = await said(session, "and this")
    if act == "interrupt":
        await said(session, {"text": "stop", "interrupt": True})
    elif act == "only-interrupt":
        await said(session, {"interrupt": True, "text": ""})
    else:
        await session.execute_update("end", {"now": act == "end-now"})
    if act == "end":
        await session.signal("say", "too late")
    if act == "end" or moment == "dig":
        await free(moment, session)
    if act in ("interrupt", "only-interrupt"):
        await answered(session, waiting.number)
        await session.execute_update("end")
    result: AgentSessionResult = await session.result()
    assert result.conversation is not None
    other = await runner.start(SESSION, talk("go on", agent="clerk", continues=result.progress.resumable))
    await answered(other, 1)
    await other.execute_update("end")
    await other.result()
    return [each.state.value for each in result.conversation.messages]


@pytest.mark.parametrize("moment", ["model", *ASKED])
async def test_whatever_the_agent_is_at_people_may_interrupt_or_end(
    real_runner: Runner, tmp_path: Path, moment: str
) -> None:
    """And another session goes on from there."""
    ours = with_agents(real_runner, tmp_path / "agents", {"clerk": TOOLS})
    BUSY.clear()
    acts = [act for act in ACTS if act != "end" or moment not in ("model", "look")]  # these do not end by themselves
    async with ours.worker(at, tools=[look, dig, pay]) as llm:
        ends = dict(
            zip(acts, await asyncio.gather(*(_then(ours, moment, act, len(acts)) for act in acts)), strict=True)
        )
    broken, heard_then = MessageState.INTERRUPTED.value, MessageState.ANSWERED.value
    assert ends.pop("interrupt") == [broken, heard_then, heard_then]
    assert ends.pop("only-interrupt") == [broken, heard_then]
    assert ends.pop("end-now") == [broken, MessageState.FAILED.value]
    # Nobody hears that a signal came too late, so what it said is accounted for where messages are read.
    assert all(states == [heard_then] * 2 + [MessageState.FAILED.value] for states in ends.values())
    assert [found for call in llm.calls if (found := unanswered(call))] == []


async def _talked(runner: Runner, seed: int) -> tuple[Session, int]:
    """Say much at once, at random moments, some of it in the same instant as the agent's answers."""
    chance = random.Random(seed)
    session = await runner.start(SESSION, talk(agent="clerk"))
    count = 30

    async def say(number: int) -> SayAnswer:
        await asyncio.sleep(chance.random() * 1.5)
        what = chance.choice(("tell", "tell", "list", "list"))
        return await said(
            session, {"text": f"{what} #{number}#", "key": f"k{number}", "interrupt": chance.random() < 0.2}
        )

    answers = await asyncio.gather(*(say(number) for number in range(count)))
    assert sorted(each.number for each in answers) == list(range(1, count + 1)), seed
    return session, count


async def test_messages_at_random_moments_are_each_heard_once(real_runner: Runner, tmp_path: Path) -> None:
    ours = with_agents(real_runner, tmp_path / "agents", {"clerk": "tools: list_files"})
    first = random.SystemRandom().randrange(10**6)
    quick = random.Random(first)

    async def briefly(call: ModelCall) -> Any:
        await asyncio.sleep(quick.random() * 0.1)
        listed = any(block["type"] == "tool_result" for block in told(call))
        return calls(("list_files", {}), turn=len(call.history)) if "list" in heard(call) and not listed else "so"

    async with ours.worker(briefly) as llm:
        for session, count in await asyncio.gather(*(_talked(ours, seed) for seed in range(first, first + 4))):
            last = await said(session, f"last of {session.id}")
            await session.execute_update("end")
            result: AgentSessionResult = await session.result()
            assert result.conversation is not None
            states = {each.number: each.state for each in result.conversation.messages}
            assert sorted(states) == list(range(1, last.number + 1)), first
            assert set(states.values()) <= set(DONE), (first, states)
            (whole,) = [call for call in llm.calls if f"last of {session.id}" in heard(call)][-1:]
            spoken = Counter(re.findall(r"#(\d+)#", str([m for m in whole.history if m["role"] == "user"])))
            assert spoken == {str(number): 1 for number in range(count)}, (first, spoken)
    assert [found for call in llm.calls if (found := unanswered(call))] == []
