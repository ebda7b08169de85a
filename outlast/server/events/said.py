"""What was said in a session, read from the events of its runs: the newest of it, or what came before a message."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from outlast.agents.sessions import AgentSessionRequest, AgentSessionResult
from outlast.cli.chat import sessions
from outlast.cli.chat.ended import asked_of
from outlast.cli.chat.sessions import run_of, session_of
from outlast.cli.kinds import SESSION
from outlast.cli.reaching import Reach, word
from outlast.cli.runs.waiting import outlasting
from outlast.display import one_line
from outlast.server.events.feed import Feeds
from outlast.server.events.log import Logged, text_of
from outlast.server.operations import Answer, Body, Call, HttpError

CALLS, LINE = 30, 150
"""Most tool calls that are shown of one answer, and characters of the line of each."""

BEFORE = r"^([1-9][0-9]{0,5}/[1-9][0-9]{0,8})?$"
"""How a message is named in a session: the number of its run, and its own."""


class MessageShown(BaseModel):
    """A message of a conversation, and what came of it."""

    run: str
    """Workflow id of the run that took it."""
    number: int
    """Its number in this run, from 1."""
    by: str
    """Who said it; empty: nobody was named."""
    text: str
    """What was said."""
    state: str
    """What became of it: waiting, working, answered, interrupted, stopped, failed."""
    reason: str = ""
    """Why it was not answered; empty where it was."""
    answer: str = ""
    """What the agent answered; several messages in a row may have one answer, which stands at the last of them."""
    calls: list[str] = []
    """Tools that it called for this answer, in a line each; of very many the last ones."""


class Conversation(BaseModel):
    """What was said in a session."""

    session: str
    """Id of the session."""
    run: str
    """Workflow id of its newest run."""
    agent: str
    """The agent."""
    status: str
    """What the server says of its newest run; a message to one that has ended goes on from it."""
    messages: list[MessageShown]
    """The newest messages, or those before `before`, oldest first."""
    earlier: str
    """`before` of the request for the messages before these; empty: there are none."""


class SaidQuery(Body):
    """Which messages to show."""

    limit: int = Field(default=100, ge=1, le=1000)
    """Most messages."""
    before: str = Field(default="", pattern=BEFORE)
    """Only those before one, as `earlier` named it."""


GOES_ON = (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW)


def messages_of(feeds: Feeds) -> Callable[[Call], Awaitable[Answer]]:
    """Make the operation that shows what was said."""

    async def messages(call: Call) -> Answer:
        query: SaidQuery = call.query
        said = await newest_said(call.reach, feeds, call.params["id"], query.limit, query.before)
        session = session_of(call.params["id"])
        if said.newest is None:
            raise HttpError(404, f"there is no session {session!r}")
        return Conversation(
            session=session,
            run=said.newest.id,
            agent=said.agent,
            status=word(said.newest.status),
            messages=said.messages,
            earlier=said.earlier,
        )

    return messages


@dataclass(frozen=True)
class Said:
    """What was said in a session, and to which agent."""

    newest: WorkflowExecutionDescription | None = None
    """The session's newest run; None: there is no such session."""
    agent: str = ""
    """The agent of the last message's run."""
    messages: list[MessageShown] = field(default_factory=list)
    """The messages, oldest first."""
    earlier: str = ""
    """Names the first of the messages where there are some before it: the number of its run in the session, /, its own."""
    after: str = ""
    """The last event that the messages hold."""


async def newest_said(reach: Reach, feeds: Feeds, run: str, most: int, before: str = "") -> Said:
    """Return the newest messages of a session, or those before one, without reading what was said long before."""
    session = session_of(run)
    newest, last = await sessions.newest(reach, session)
    first, below = map(int, before.split("/")) if before else (last, None)
    said, agent, after = list[tuple[int, MessageShown]](), "", ""
    for number in range(min(first, last), 0, -1):
        found = newest if number == last else await sessions.find(reach, run_of(session, number))
        if found is None or len(said) > most:
            break
        part = await _of_run(reach, feeds, found, most + 1 - len(said), below if number == first else None)
        said = [*((number, message) for message in part.messages), *said]
        agent, after = agent or part.agent, after or part.after
    number, oldest = said[-most:][0] if said else (0, None)
    earlier = f"{number}/{oldest.number}" if oldest and len(said) > most else ""
    return Said(newest, agent, [message for _, message in said[-most:]], earlier, after)


async def _of_run(
    reach: Reach, feeds: Feeds, found: WorkflowExecutionDescription, most: int, before: int | None
) -> Said:
    """Read the last of what was said in one run, or the last before a message; raises HttpError where it is no session."""
    if found.workflow_type != SESSION:
        raise HttpError(409, f"{found.id} is of type {found.workflow_type}, in which nobody talks")
    asked = await asked_of(reach, found)
    if not asked.conversation:
        alone = [await _alone(reach, found, asked)] if before is None or before > 1 else []
        return Said(found, asked.agent, alone)
    async with feeds.of(found) as feed:
        await feed.caught_up.wait()
        events = list(feed.events)
    told = _told(events)
    kept = [number for number in told if before is None or number < before][-most:]
    heard = [await _shown(reach, found.id, number, told[number]) for number in kept]
    heard = [each if found.status in GOES_ON else _left(each, word(found.status)) for each in heard]
    after = next((event.id for event in reversed(events) if event.kind == "answer"), "")
    return Said(found, asked.agent, heard, "", after)


async def _alone(reach: Reach, run: WorkflowExecutionDescription, asked: AgentSessionRequest) -> MessageShown:
    """Read a run of one message."""
    answer, state = "", word(run.status)
    if run.status is WorkflowExecutionStatus.COMPLETED:
        handle = reach.client.get_workflow_handle(run.id, run_id=run.run_id, result_type=AgentSessionResult)
        result: AgentSessionResult = await outlasting(handle)
        answer, state = await reach.store().text(result.answer) if result.answer else "", "answered"
    elif run.status is WorkflowExecutionStatus.RUNNING:
        state = "working"
    return MessageShown(run=run.id, number=1, by=asked.requester, text=asked.task, state=state, answer=answer)


def _left(message: MessageShown, status: str) -> MessageShown:
    """Account for a message whose run was stopped from outside before it could say what became of it."""
    if message.state not in ("waiting", "working"):
        return message
    return message.model_copy(update={"state": "failed", "reason": f"the session was {status} before it was answered"})


@dataclass
class _Told:
    """A message, and what came of it, without their texts; several may have one answer, which `answers` at the last of them."""

    asked: Logged
    ended: Logged | None = None
    answers: bool = False
    calls: list[str] = field(default_factory=list)


def _told(events: list[Logged]) -> dict[int, _Told]:
    said: dict[int, _Told] = {}
    calls: list[str] = []
    for event in events:
        if event.kind == "message":
            number, known = event.data["number"], said.get(event.data["number"])
            # History may tell that a message came after it told that the agent works on it; after a reset it is another one.
            if known is None or known.asked.data["key"] != event.data["key"] or event.data["state"] != "waiting":
                said[number] = _Told(event)
        elif event.kind == "call_ended" and event.data["tool"]:
            calls.append(_line(event.data))
        elif event.kind == "answer":
            numbers = [number for number in event.data["numbers"] if number in said]
            for number in numbers:
                said[number].ended = event
            if numbers:
                said[numbers[-1]].answers = True
                said[numbers[-1]].calls = calls[-CALLS:]
            calls = []
    return said


async def _shown(reach: Reach, run: str, number: int, told: _Told) -> MessageShown:
    asked, ended = told.asked, told.ended
    return MessageShown(
        run=run,
        number=number,
        by=asked.data["by"],
        text=await text_of(reach, asked) or "",
        state=(ended or asked).data["state"],
        reason=ended.data["reason"] if ended else "",
        answer=await text_of(reach, ended) or "" if ended and told.answers else "",
        calls=told.calls,
    )


def _line(call: dict[str, Any]) -> str:
    mark = "✓" if call["state"] == "done" else f"✗ {call['error']}"
    line = one_line(f"{call['tool']} {json.dumps(call.get('input', {}), ensure_ascii=False)}")
    return f"{line if len(line) <= LINE else f'{line[: LINE - 1]}…'} {mark}"[: 2 * LINE]
