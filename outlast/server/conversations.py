"""Conversations with an agent's session: messages, which are taken at any time, what became of them, and the end.

`say` is shared by the API, AG-UI and the chat page. What was said is read from history, so no worker has to answer. Runs of one
message each (`ID`, `ID~2`, `ID~3` …), as sessions were before 0.3, are one conversation, which the next message goes on with.
"""

from dataclasses import dataclass

from pydantic import BaseModel, Field
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from outlast.agents.files import slug
from outlast.agents.sessions import AgentSessionRequest
from outlast.cli.chat import sessions
from outlast.cli.chat.ended import NoAgentError
from outlast.cli.chat.sessions import Said, newest, session_of
from outlast.cli.decisions.messaging import RefusedError, send_message
from outlast.cli.kinds import SESSION
from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import PATIENT_DEADLINE, Reach, word
from outlast.contracts import QuestionAnswered, RunStatus
from outlast.server.access import Caller, Scope
from outlast.server.operations import Answer, Body, Call, HttpError
from outlast.server.starting import check_id, key_of


class SayBody(Body):
    """A message to a session."""

    text: str = Field(default="", max_length=200_000)
    """The message; it may be left out where the message only interrupts."""
    agent: str = Field(default="", max_length=200)
    """Which agent, where the session is new."""
    by: str = Field(default="", max_length=64)
    """Who says it, where no token says so."""
    interrupt: bool = False
    """Whether it breaks off what the agent does; else it waits for the agent's next turn."""


class MessageAccepted(BaseModel):
    """What came of a message."""

    id: str
    """Workflow id of the run that answers it; its events hold the answer."""
    session: str
    """Id of the session."""
    number: int = 0
    """Its number in this run; 0: it has none (yet), because it only interrupts, answers a question, or `waits`."""
    waits: bool = False
    """Whether no worker answers now: it is numbered and answered once one does."""
    answers: str = ""
    """The question that it answered; empty: it is a turn of its own."""
    asks: str = ""
    """The question that the agent waits with, which this caller may not answer; empty: none. The message is heard after that."""


@dataclass(frozen=True)
class Message:
    """What somebody says: `key` tells a message that is sent again from a new one."""

    text: str
    agent: str = ""
    key: str = ""
    interrupt: bool = False
    by: str = ""


async def say_it(call: Call) -> Answer:
    """Send a message to a session."""
    body: SayBody = call.body
    key = key_of(call)
    return 202, await say(
        call.reach, call.caller, call.params["id"], Message(body.text, body.agent, key, body.interrupt, body.by)
    )


async def say(reach: Reach, caller: Caller, session: str, message: Message) -> MessageAccepted:
    """Send a message to a session, which begins with the first one; raises HttpError where that cannot be."""
    if not message.text.strip() and not message.interrupt:
        raise HttpError(422, "text: say something")
    by = speaker(caller, message.by)
    session = session_of(session)
    found, _ = await newest(reach, session)
    if found is None and not message.agent.strip():
        raise HttpError(404, f"there is no session {session!r}; name the agent of a new one: agent")
    if found is None:
        check_id(session, "session")
    # One that interrupts is no answer: it breaks off the question, too.
    asks = await _asks(reach, found) if found and message.text.strip() and not message.interrupt else ""
    # To answer is to decide: whoever may only start is heard as well, but says something else.
    if found and asks and Scope.DECIDE in caller.scopes:
        if (answered := await _answered(reach, found, asks, message, by)) is not None:
            return answered
        asks = ""
    names_agent = found is None or bool(message.agent.strip())
    opening = AgentSessionRequest(agent=slug(message.agent) or message.agent, requester=by, conversation=True)
    said = Said(message.text, by, message.interrupt, message.key)
    try:
        taken = await sessions.say(reach, session, said, opening if names_agent else None)
    except NoAgentError as error:
        raise HttpError(422, f"agent: {error}") from error
    return MessageAccepted(id=taken.run, session=session, number=taken.number, waits=not taken.answered, asks=asks)


def speaker(caller: Caller, given: str) -> str:
    """Return who speaks: whoever a token names, else the given name; raises HttpError where the two differ."""
    named = " ".join(given.split())
    if caller.name and named and named.casefold() != caller.name.casefold():
        raise HttpError(403, f"by: this is the token of {caller.name}")
    return caller.name or named


async def _asks(reach: Reach, run: WorkflowExecutionDescription) -> str:
    """Return the question that a text would answer, "" where the run asks none, or several."""
    if run.workflow_type != SESSION or run.status is not WorkflowExecutionStatus.RUNNING or not await reach.served(run):
        return ""
    try:
        status = await reach.ask(run, "status", RunStatus, within=PATIENT_DEADLINE)
    except LeavingError:
        return ""  # no worker answers now: the message waits for one
    return status.questions[0].id if len(status.questions) == 1 else ""


async def _answered(
    reach: Reach, run: WorkflowExecutionDescription, question: str, message: Message, by: str
) -> MessageAccepted | None:
    """Answer a question with a message; None where it is open no more, so that the message is a turn of its own.

    Raises HttpError where that is no answer to it.
    """
    answer = {"question": question, "answer": message.text, "by": by, "key": message.key}
    try:
        taken = await send_message(reach, run, "answer", answer, QuestionAnswered)
    except RefusedError as refused:
        if refused.why.startswith("question:"):
            return None
        if not refused.why.startswith("answer:"):
            raise
        why = f"text: it is no answer to {question}: {refused.why.removeprefix('answer: ')}"
        raise HttpError(422, f"{why}; with interrupt it is a message instead") from refused
    if taken is not None and taken.repeated:
        return MessageAccepted(id=run.id, session=session_of(run.id), number=taken.number)
    return MessageAccepted(id=run.id, session=session_of(run.id), answers=question)


class SessionEnds(BaseModel):
    """Whether a session was asked to end."""

    id: str
    """Workflow id of its newest run."""
    asked: bool
    """Whether it was going on, and ends now: once what was said is answered."""
    status: str
    """What the server said of it before."""


async def end(call: Call) -> Answer:
    """End a session."""
    ends = await end_session(call.reach, call.caller, call.params["id"])
    return (202 if ends.asked else 200), ends


async def end_session(reach: Reach, caller: Caller, session: str) -> SessionEnds:
    """Let a session end once what was said is answered; raises HttpError where there is none."""
    found, _ = await newest(reach, session_of(session))
    if found is None:
        raise HttpError(404, f"there is no session {session!r}")
    if found.workflow_type != SESSION:
        raise HttpError(409, f"{found.id} is of type {found.workflow_type}, in which nobody talks")
    running = found.status is WorkflowExecutionStatus.RUNNING
    asked = running and await sessions.end(reach, found, caller.name)
    return SessionEnds(id=found.id, asked=asked, status=word(found.status))
