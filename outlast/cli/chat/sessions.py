"""Sessions that people talk to: which run of one is the newest, and how a message reaches it, for the terminal and the server.

A session is one run that goes on for as long as people talk. One that has ended is gone on from in a run named after the first:
`ID`, `ID~2`, `ID~3` …, as each message did before version 0.3. Each message has a key, so one that is sent again counts once.
"""

import asyncio
import secrets
from dataclasses import asdict, dataclass, replace
from typing import Any

from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from outlast.agents.conversation.reading import MOST_CHARACTERS
from outlast.agents.sessions import AgentSessionRequest, SayAnswer
from outlast.cli.chat.ended import NO_AGENT, NoAgentError, never_began, onward, taken_before
from outlast.cli.decisions.messaging import ANSWERS_WITHIN, is_unprocessed, updated
from outlast.cli.kinds import SESSION
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import Reach, must_have_begun
from outlast.cli.runs.running import marks
from outlast.errors import kind_of, text_of

MOST_RUNS = 1000
"""Runs of one session."""
KEY_MEMO = "message"
"""The memo field that holds the key of the message that a run was started by."""
INLINE = 16_384
"""Bytes of a message that travels with its text; a longer one is put into the content store first, and travels by reference."""
TRIES = 5
"""How often a message looks for its run anew, where that ends while it is being sent."""


@dataclass(frozen=True)
class Said:
    """A message of a person: `key` tells one that is sent again from a new one, `interrupt` breaks off what the agent does.

    `ref` and `size` stand for a text in the content store, and `text` for how it begins.
    """

    text: str
    by: str = ""
    interrupt: bool = False
    key: str = ""
    ref: str = ""
    size: int = 0


@dataclass(frozen=True)
class Taken:
    """Where a message went: the run that answers it, and its number there, 0 for one that only interrupts.

    One that no worker has `answered` is numbered once one is back.
    """

    run: str
    number: int = 0
    answered: bool = False


def session_of(run: str) -> str:
    """Return the session that a run belongs to: its first run."""
    first, _, number = run.rpartition("~")
    return first if first and number.isdecimal() else run


def run_of(session: str, number: int) -> str:
    """Return the workflow id of a session's run, counted from 1."""
    return session if number == 1 else f"{session}~{number}"


async def find(reach: Reach, run: str) -> WorkflowExecutionDescription | None:
    """Describe a run; None where there is none."""
    try:
        return await reach.client.get_workflow_handle(run).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or "namespace" in error.message.lower():
            raise
        return None


async def newest(reach: Reach, session: str) -> tuple[WorkflowExecutionDescription | None, int]:
    """Find the newest run of a session and its number, without asking for each of them; None and 0 where there is none."""
    found, low, high = await find(reach, session), 1, 2
    if found is None:
        return None, 0
    while (there := await find(reach, run_of(session, high))) is not None:
        found, low, high = there, high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        there = await find(reach, run_of(session, middle))
        found, low, high = (found, low, middle) if there is None else (there, middle, high)
    return found, low


async def say(
    reach: Reach, session: str, said: Said, opening: AgentSessionRequest | None, priority: Priority = Priority.default
) -> Taken:
    """Send a message to a session: to the run that goes on, else to a new one that goes on from the last.

    A new session begins with `opening`, also where one of that id named an agent that there is not. Raises LeavingError where
    there is neither, or the run is none of a session, and NoAgentError where the new one's agent cannot be read.
    """
    said = said if said.key else replace(said, key=secrets.token_hex(16))
    said = await _by_reference(reach, said)
    for _ in range(TRIES):
        found, number = await newest(reach, session)
        try:
            if found is None:
                if opening is None:
                    raise LeavingError(WRONG, f"there is no session {session!r}")
                return await _begun(reach, session, said, opening, priority)
            if found.workflow_type != SESSION:
                raise LeavingError(
                    WRONG,
                    f"{found.id} is of type {found.workflow_type}, which takes no messages; name a session of an agent",
                )
            if found.status is WorkflowExecutionStatus.RUNNING:
                return await _said_to(reach, found, said)
            if await found.memo_value(KEY_MEMO, "", type_hint=str) == said.key:
                return Taken(found.id)  # it was the one message of this run
            if not said.text.strip() and not said.ref:
                return Taken(found.id)  # there is nothing to interrupt
            if (taken := await taken_before(reach, found, said.key, said.text, said.ref)) is not None:
                return Taken(found.id, taken, answered=True)
            anew = opening is not None and await never_began(reach, found)
            request = opening if opening is not None and anew else await onward(reach, found, said.by)
            if number + 1 >= MOST_RUNS:
                raise LeavingError(WRONG, f"{session} has {MOST_RUNS} runs; begin another session")
            return await _begun(reach, run_of(session, number + 1), said, request, priority)
        except (WorkflowAlreadyStartedError, RunOverError):
            continue  # somebody else began that run, or it ended just now
    raise LeavingError(WRONG, f"{session} ends and begins again and again; send it once more")


async def _by_reference(reach: Reach, said: Said) -> Said:
    """Put a long text into the content store: history, and the limit of one payload, are no place for it."""
    if len(said.text) > MOST_CHARACTERS:
        length = f"the message has {len(said.text):,} characters, more than the {MOST_CHARACTERS:,} that one may have"
        raise LeavingError(WRONG, f"{length}; put the text into a file that the agent can read, or send it in parts")
    if said.ref or len(said.text.encode()) <= INLINE:
        return said
    kept = await reach.store().keep(said.text, by_reference=True)
    return replace(said, text=kept.summary, ref=kept.ref or "", size=kept.size)


class RunOverError(Exception):
    """The run ended before it took a message."""


async def _begun(
    reach: Reach, run: str, said: Said, request: AgentSessionRequest, priority: Priority = Priority.default
) -> Taken:
    """Start a run with its first message, in one go; raises WorkflowAlreadyStartedError where one of that id has ended."""
    queue = reach.settings.task_queue
    start: dict[str, Any] = {
        "id": run,
        "task_queue": queue,
        "static_summary": f"{request.agent}: {' '.join(said.text.split())}"[:200],
        "search_attributes": await marks(reach, SESSION),
        "priority": priority,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
    }
    if await reach.served(queue):
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(SESSION, request, **start)
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                answer: SayAnswer = await reach.client.execute_update_with_start_workflow(
                    "say", asdict(said), start_workflow_operation=operation, result_type=SayAnswer
                )
                return _taken(run, answer)
        except WorkflowUpdateFailedError as error:
            if kind_of(error.cause) in NO_AGENT:
                raise NoAgentError(WRONG, text_of(error.cause)) from error
            if not is_unprocessed(error):
                raise LeavingError(WRONG, f"{run} does not take it: {text_of(error.cause)}") from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            pass
        finally:
            await _noted(operation)
    await reach.client.start_workflow(SESSION, request, start_signal="say", start_signal_args=[asdict(said)], **start)
    return Taken(run)


async def _noted(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take note of how a start has ended: what nobody asks for, asyncio reports with a traceback on the terminal."""
    started = asyncio.ensure_future(operation.workflow_handle())
    await asyncio.wait([started], timeout=0.1)
    if not started.cancel() and not started.cancelled():
        started.exception()


def _taken(run: str, answer: SayAnswer) -> Taken:
    """Read what came of a message; raises LeavingError where it was not taken."""
    if not answer.accepted:
        raise LeavingError(WRONG, f"{run} does not take it: {answer.reason}")
    return Taken(run, answer.number, answered=True)


async def _said_to(reach: Reach, found: WorkflowExecutionDescription, said: Said) -> Taken:
    must_have_begun(found)
    handle: WorkflowHandle[Any, Any] = reach.client.get_workflow_handle(found.id)
    try:
        if await reach.served(found):
            try:
                if (answer := await updated(handle, "say", asdict(said), SayAnswer)) is not None:
                    return _taken(found.id, answer)
            except WorkflowUpdateFailedError as error:
                raise LeavingError(WRONG, f"{found.id} does not take it: {text_of(error.cause)}") from error
        await handle.signal("say", asdict(said))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise RunOverError(found.id) from error
    return Taken(found.id)


async def end(reach: Reach, found: WorkflowExecutionDescription, by: str) -> bool:
    """Let a session end once the agent has answered what was said; returns False where it has ended already."""
    must_have_begun(found)
    handle: WorkflowHandle[Any, Any] = reach.client.get_workflow_handle(found.id)
    try:
        await handle.signal("end", {"by": by})
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
