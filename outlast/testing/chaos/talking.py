"""Talks in a session as people do in a chat or over HTTP: `python talking.py SESSION '{"request": {…}, "says": [{…}, …]}'`.

Each message has a key, and what the server does not answer is said again. Killed and started again, this program says everything
from the beginning, under the same keys, like somebody who has lost the terminal. Once all is answered it ends the session, and
looks whether each message was heard once and accounted for once; its exit code is 1 where one was not.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from outlast.agents.sessions import (
    AgentSessionRequest,
    AgentSessionResult,
    ConversationView,
    MessageLog,
    MessageState,
    SaidMessage,
)
from outlast.agents.transcript_activities import Transcripts
from outlast.cli.chat.ended import OPEN
from outlast.cli.chat.sessions import Said, end, newest, say
from outlast.cli.leaving import FAILED, LeavingError, leave, verdict
from outlast.cli.leaving import say as complain
from outlast.cli.reaching import PASSING, Reach, WorkerBusyError, reaching
from outlast.cli.runs.waiting import outlasting
from outlast.client import ServerUnavailableError
from outlast.contracts import Content
from outlast.testing.chaos.contracts import Says

T = TypeVar("T")
AGAIN = 0.3
"""Seconds before something is sent again, or looked at again."""
AT_ONCE = (0.1, 1.2)
"""Seconds between a message and the next, where that does not wait for the answer to the first."""
ANSWERS_WITHIN = timedelta(seconds=3)
ACCOUNTED = (MessageState.ANSWERED, MessageState.INTERRUPTED)


async def talk(reach: Reach, session: str, request: AgentSessionRequest, says: Sequence[Says]) -> list[str]:
    """Say everything in a session, and end it; returns what is wrong with what came of it."""
    chance = random.Random(session)  # noqa: S311 - chosen by the session, on purpose
    for number, each in enumerate(says, 1):
        pause = chance.uniform(*AT_ONCE)
        await (asyncio.sleep(pause) if each.at_once else _answered(reach, session, number - 1))
        said = Said(each.text, each.by, each.interrupt, f"{session}-{number}")
        taken = await _patiently(lambda said=said: say(reach, session, said, request))  # type: ignore[misc]
        if taken.run != session:
            return [f"message {number} went to {taken.run}"]
    await _answered(reach, session, len(says))
    found = await _patiently(lambda: reach.find(session))
    await _patiently(lambda: end(reach, found, ""))
    handle: WorkflowHandle[Any, AgentSessionResult] = reach.client.get_workflow_handle(
        session, result_type=AgentSessionResult
    )
    return await _problems(reach, await outlasting(handle), session, says)


async def _answered(reach: Reach, session: str, number: int) -> None:
    """Wait until all messages up to one are done."""
    while number:
        found, _ = await _patiently(lambda: newest(reach, session))
        if found is None or found.close_time is not None:
            return
        with suppress(RPCError, WorkflowQueryFailedError, LeavingError):
            view = await reach.ask(found, "conversation", ConversationView, within=ANSWERS_WITHIN)
            if view.total >= number and not any(m.number <= number and m.state in OPEN for m in view.messages):
                return
        await asyncio.sleep(AGAIN)


async def _problems(reach: Reach, result: AgentSessionResult, session: str, says: Sequence[Says]) -> list[str]:
    view, store = result.conversation, reach.store()
    assert view is not None
    older = [MessageLog.model_validate_json(await store.text(Content(ref=ref))) for ref in view.earlier]
    messages = [*(each for log in older for each in log.messages), *view.messages]
    transcript = result.progress.transcript
    told = await Transcripts(store).conversation(transcript.ref if transcript else None, result.progress.left)
    heard = "\n".join(part for each in told if each["role"] == "user" for part in _texts(each["content"]))
    return accounting(session, says, messages, heard)


def accounting(session: str, says: Sequence[Says], messages: Sequence[SaidMessage], heard: str) -> list[str]:
    """Say in words which messages were not taken, heard and ended exactly once, in the order in which they were said.

    `heard` is all that the agent was told.
    """
    wanted, found = [f"{session}-{number}" for number in range(1, len(says) + 1)], [each.key for each in messages]
    wrong = [] if found == wanted else [f"the session has messages {', '.join(found)}"]
    wrong += [f"message {m.number} is {m.state} ({m.reason})" for m in messages if m.state not in ACCOUNTED]
    for number, each in enumerate(says, 1):
        times = heard.count(f"{each.by}: {each.text}" if each.by else each.text)
        wrong += [] if times == 1 else [f"the agent was told message {number} {times} times"]
    return wrong


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content if part.get("type") == "text"]


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, as the chat does, and whoever speaks HTTP should."""
    while True:
        try:
            return await ask()
        except (ServerUnavailableError, WorkerBusyError):
            pass
        except RPCError as error:
            if error.status not in PASSING:
                raise
        await asyncio.sleep(AGAIN)


def main(arguments: list[str]) -> int:
    """Talk, and return the exit code."""
    session, given = arguments
    asked = json.loads(given)
    request = AgentSessionRequest(**{**asked["request"], "conversation": True})
    says = [Says(**each) for each in asked["says"]]
    try:
        wrong = reaching(lambda reach: talk(reach, session, request, says))
    except Exception as error:
        code, message = verdict(error)
        complain(message)
        return code
    for each in wrong:
        complain(f"{session}: {each}")
    return FAILED if wrong else 0


if __name__ == "__main__":
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]  # its neighbours are no modules of their own
    leave(main(sys.argv[1:]))
