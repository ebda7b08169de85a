"""What a run of a session was started with, and what it left when it ended: from there another one goes on."""

from typing import Any

from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)

from outlast.agents.sessions import (
    AgentSessionRequest,
    AgentSessionResult,
    ConversationView,
    MessageLog,
    MessageState,
    SessionProgress,
)
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import PATIENT_DEADLINE, Reach
from outlast.cli.runs.waiting import outlasting
from outlast.contracts import Content
from outlast.errors import ErrorKind, kind_of
from outlast.storage.activities import reference
from outlast.workflow.journal import digest

OPEN = (MessageState.WAITING, MessageState.WORKING)


class NoAgentError(LeavingError):
    """A new session ended at once, because its agent cannot be read."""


NO_AGENT = (ErrorKind.UNKNOWN_AGENT, ErrorKind.CATALOG_INVALID)


async def never_began(reach: Reach, run: WorkflowExecutionDescription) -> bool:
    """Whether a session ended at once, because its agent cannot be read: another agent may have its id."""
    if run.status is not WorkflowExecutionStatus.FAILED:
        return False
    try:
        await outlasting(reach.client.get_workflow_handle(run.id, run_id=run.run_id))
    except WorkflowFailureError as failure:
        return kind_of(failure.cause) in NO_AGENT
    return False


async def taken_before(
    reach: Reach, run: WorkflowExecutionDescription, key: str, text: str, ref: str = ""
) -> int | None:
    """Return the number of a message that a run took and accounted for before it ended, 0 for an answer; None: it knows none.

    Whoever was not told so, because the server or their own program was killed at that moment, says it again. Raises LeavingError
    where the key is that of a message that said something else.
    """
    if run.status is WorkflowExecutionStatus.COMPLETED:
        handle = reach.client.get_workflow_handle(run.id, run_id=run.run_id, result_type=AgentSessionResult)
        view = (await outlasting(handle)).conversation
    else:
        view = await reach.ask(run, "conversation", ConversationView, within=PATIENT_DEADLINE)
    if view is None:
        return None
    if digest(key) in view.answers:
        return 0
    older = [MessageLog.model_validate_json(await reach.store().text(Content(ref=ref))) for ref in view.earlier]
    said = (each for messages in (view.messages, *(log.messages for log in older)) for each in messages)
    before = next((each for each in said if each.key == key and each.state not in OPEN), None)
    if before is None:
        return None
    if before.text.text != text and before.text.ref != (ref or reference(text.encode())):
        why = f"key: {key[:60]!r} is that of message {before.number}, which said something else; send another key"
        raise LeavingError(WRONG, f"{run.id} does not take it: {why}")
    return int(before.number)


async def asked_of(reach: Reach, run: WorkflowExecutionDescription) -> AgentSessionRequest:
    """Read what a run of a session was started with; raises LeavingError where that is something else."""
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
    raise LeavingError(WRONG, f"{run.id} was started with something else than a session's request")


async def left_by(reach: Reach, run: WorkflowExecutionDescription) -> SessionProgress | None:
    """Return from where another session goes on: the conversation, with limits that begin anew."""
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


async def onward(reach: Reach, run: WorkflowExecutionDescription, by: str) -> AgentSessionRequest:
    """Build the request of a session that goes on from a run in the name of whoever speaks."""
    asked = await asked_of(reach, run)
    return AgentSessionRequest(
        agent=asked.agent,
        requester=by or asked.requester,
        gate=asked.gate,
        limits=asked.limits,
        continues=await left_by(reach, run),
        conversation=True,
    )
