"""Messages to an agent's session: one function, `say`, which the API, AG-UI and the chat page share.

A session answers one message and ends. The next message starts a run that goes on from its conversation, named after the first:
`ID`, `ID~2`, `ID~3` … A message to a session that asks something is the answer; while the agent works there is no place for one.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from outlast.agents.files import slug
from outlast.agents.sessions import AgentSessionRequest, AgentSessionResult, SessionProgress
from outlast.cli.kinds import SESSION
from outlast.cli.reaching import PATIENT_DEADLINE, Reach, word
from outlast.cli.runs.running import begin
from outlast.cli.runs.waiting import outlasting
from outlast.contracts import RunStatus
from outlast.server.access import Caller
from outlast.server.operations import Answer, Body, Call, HttpError, find
from outlast.server.starting import KEY

MOST_MESSAGES = 1000
"""Runs of one session."""
MESSAGE_MEMO = "message"
"""The memo field that holds the key of the message that a run was started by."""


class SayBody(Body):
    """A message to a session."""

    text: str = Field(min_length=1, max_length=200_000)
    """The message."""
    agent: str = Field(default="", max_length=200)
    """Which agent, where the session is new."""


class MessageAccepted(BaseModel):
    """What came of a message."""

    id: str
    """Workflow id of the run that answers it; its events hold the answer."""
    session: str
    """Id of the session."""
    answers: str = ""
    """The question that it answered; empty: it is a turn of its own."""


@dataclass(frozen=True)
class Message:
    """What somebody says: `key` tells a message that is sent again from a new one."""

    text: str
    agent: str = ""
    key: str = ""


async def say_it(call: Call) -> Answer:
    """Send a message to a session."""
    body: SayBody = call.body
    message = Message(body.text, body.agent, call.request.headers.get(KEY, ""))
    return 202, await say(call.reach, call.caller, call.params["id"], message)


async def say(reach: Reach, caller: Caller, session: str, message: Message) -> MessageAccepted:
    """Send a message to a session, which begins with the first one; raises HttpError where it cannot take it now."""
    if not message.text.strip():
        raise HttpError(422, "text: say something")
    session = session_of(session)
    runs = [run async for run in runs_of(reach, session)]
    if not runs:
        if not message.agent.strip():
            raise HttpError(404, f"there is no session {session!r}; name the agent of a new one: agent")
        request = AgentSessionRequest(
            agent=slug(message.agent) or message.agent, task=message.text, requester=caller.name
        )
        return await _begun(reach, session, session, request, message)
    last = runs[-1]
    if last.workflow_type != SESSION:
        raise HttpError(
            409, f"{last.id} is a {last.workflow_type}, which takes no messages; name a session of an agent"
        )
    if message.key and await last.memo_value(MESSAGE_MEMO, "", type_hint=str) == message.key:
        return MessageAccepted(id=last.id, session=session)
    if last.status is WorkflowExecutionStatus.RUNNING:
        return await _answered(reach, session, last, message)
    asked = await asked_of(reach, last)
    request = AgentSessionRequest(
        agent=asked.agent,
        task=message.text,
        requester=caller.name or asked.requester,
        continues=await _left(reach, last),
    )
    return await _begun(reach, session, f"{session}~{len(runs) + 1}", request, message)


def session_of(run: str) -> str:
    """Return the session that a run belongs to: its first run."""
    first, _, number = run.rpartition("~")
    return first if first and number.isdecimal() else run


async def runs_of(reach: Reach, session: str) -> AsyncIterator[WorkflowExecutionDescription]:
    """Yield the runs of a session, oldest first."""
    for number in range(1, MOST_MESSAGES):
        try:
            yield await find(reach, session if number == 1 else f"{session}~{number}")
        except HttpError:
            return
    raise HttpError(409, f"{session} has {MOST_MESSAGES} messages; begin another session")


async def asked_of(reach: Reach, run: WorkflowExecutionDescription) -> AgentSessionRequest:
    """Read what a run of a session was started with; raises HttpError where that is something else."""
    handle: WorkflowHandle[Any, Any] = reach.client.get_workflow_handle(
        run.id, run_id=run.raw_description.workflow_execution_info.first_run_id or run.run_id
    )
    async for event in handle.fetch_history_events(page_size=1):
        given = event.workflow_execution_started_event_attributes.input.payloads
        try:
            (asked,) = await reach.client.data_converter.decode(given, [AgentSessionRequest])
        except ValueError:
            break
        if isinstance(asked, AgentSessionRequest):
            return asked
    raise HttpError(409, f"{run.id} was started with something else than a session's request")


async def _begun(
    reach: Reach, session: str, run: str, request: AgentSessionRequest, message: Message
) -> MessageAccepted:
    try:
        await begin(
            reach,
            SESSION,
            request,
            workflow_id=run,
            summary=f"{request.agent}: {' '.join(request.task.split())}",
            queue=reach.settings.task_queue,
            memo={MESSAGE_MEMO: message.key},
        )
    except WorkflowAlreadyStartedError:
        found = await find(reach, run)
        if not message.key or await found.memo_value(MESSAGE_MEMO, "", type_hint=str) != message.key:
            raise HttpError(409, f"{session} was sent another message just now; look at its answer first") from None
    return MessageAccepted(id=run, session=session)


async def _answered(reach: Reach, session: str, run: WorkflowExecutionDescription, message: Message) -> MessageAccepted:
    status = await reach.ask(run, "status", RunStatus, within=PATIENT_DEADLINE)
    if len(status.questions) != 1:
        raise HttpError(409, f"{run.id} still works on the last message; send this one once it has ended")
    handle = reach.client.get_workflow_handle(run.id, run_id=run.run_id)
    await handle.signal("answer", {"question": status.questions[0].id, "answer": message.text})
    return MessageAccepted(id=run.id, session=session, answers=status.questions[0].id)


async def _left(reach: Reach, run: WorkflowExecutionDescription) -> SessionProgress | None:
    """Return from where the session goes on: the conversation, with limits that begin anew for each message."""
    handle: WorkflowHandle[Any, Any] = reach.client.get_workflow_handle(
        run.id, run_id=run.run_id, result_type=AgentSessionResult
    )
    if run.status is WorkflowExecutionStatus.COMPLETED:
        result: AgentSessionResult = await outlasting(handle)
        progress = result.progress
    else:  # only its workflow code knows how far a run came that failed or was stopped
        progress = await reach.ask(run, "progress", SessionProgress, within=PATIENT_DEADLINE)
    if progress.transcript is None:
        return None
    return progress.resumable.model_copy(update={"turns": 0, "tool_calls": 0})


async def conversation(reach: Reach, run: str) -> list[tuple[str, str, str]]:
    """Return what was said in a session: who, what, and the run of it."""
    said: list[tuple[str, str, str]] = []
    async for each in runs_of(reach, session_of(run)):
        asked = await asked_of(reach, each)
        said.append((asked.requester or "you", asked.task, each.id))
        if each.status is not WorkflowExecutionStatus.COMPLETED:
            said.append(
                ("", "" if each.status is WorkflowExecutionStatus.RUNNING else f"({word(each.status)})", each.id)
            )
            continue
        handle = reach.client.get_workflow_handle(each.id, run_id=each.run_id, result_type=AgentSessionResult)
        result: AgentSessionResult = await outlasting(handle)
        said.append((asked.agent, await reach.store().text(result.answer) if result.answer else "", each.id))
    return said
