"""Sends a run a message: as an update, which it answers at once, or as a signal, which it reads once a worker is back.

The server lists a worker for minutes after it has died, and keeps an update that no worker takes, although its sender has given
up. So a worker has to answer a query first, which leaves nothing behind; where none does, a signal is sent. Should the worker
die just then, both are sent, and the run takes the second for a duplicate.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import NOBODY_ANSWERS, Reach, must_have_begun, word
from outlast.contracts import NOT_BY_REQUESTER
from outlast.errors import text_of

M = TypeVar("M", bound=BaseModel)

ANSWERS_WITHIN = 5.0
"""Seconds in which a living worker answers."""
EVERY_WORKFLOW_ANSWERS = "__temporal_workflow_metadata"
"""The SDK's own query, which workflows of others and of older builds answer as well."""
UNKNOWN_UPDATE = "expected but not found"
"""What the SDK says of an update that a workflow has not."""
UNPROCESSED = "UnprocessedUpdate"
"""Type of the refusal of an update that the worker has not seen: it ended the workflow task that the update had come with."""


class RefusedError(LeavingError):
    """A run does not take a message; `why` is the reason in its own words."""

    def __init__(self, run: str, why: str) -> None:
        super().__init__(WRONG, f"{run} does not take it: {with_way_out(why)}")
        self.why = why


async def open_run(reach: Reach, workflow_id: str, *, ours: bool = True) -> WorkflowExecutionDescription:
    """Describe a run that is still running; raises LeavingError where there is none, it has ended, or it has not begun.

    A message that it answers would let a delayed run begin at once.
    """
    found = await reach.find(workflow_id, ours=ours)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise LeavingError(WRONG, f"{workflow_id} has ended already ({word(found.status)}); nothing was sent")
    must_have_begun(found)
    return found


def with_way_out(refusal: str) -> str:
    """Add what to do where the requester of a run is refused at its gate; other refusals name it themselves."""
    if not refusal.endswith(NOT_BY_REQUESTER):
        return refusal
    return f'{refusal}; another person must, in their own name. Working alone, start runs with --requester ""'


def is_unprocessed(error: WorkflowUpdateFailedError) -> bool:
    """Whether it is the server that refuses an update, because no worker has seen it; the run may take the same as a signal."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == UNPROCESSED


async def answers(handle: WorkflowHandle[Any, Any], within: float) -> bool:
    """Whether a worker answers for a run within so many seconds; true where the server refuses the question itself."""
    try:
        await handle.query(EVERY_WORKFLOW_ANSWERS, rpc_timeout=timedelta(seconds=within))
    except WorkflowQueryFailedError:
        return True
    except RPCError as error:
        return error.status not in NOBODY_ANSWERS
    return True


async def updated(
    handle: WorkflowHandle[Any, Any],
    name: str,
    message: Mapping[str, Any],
    answer: type[M],
    within: float | None = ANSWERS_WITHIN,
) -> M | None:
    """Send an update where a worker answers at all, and wait so many seconds for what comes of it.

    With None for them it is sent without asking first, and waited for as long as it takes.
    Returns None where nobody takes it, raises WorkflowUpdateFailedError where the run refuses it.
    """
    if within is not None and not await answers(handle, within):
        return None
    try:
        async with asyncio.timeout(within):
            answered: M = await handle.execute_update(name, dict(message), result_type=answer)
            return answered
    except WorkflowUpdateFailedError as error:
        if not is_unprocessed(error):
            raise
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
        pass
    return None


def _is_unknown(error: WorkflowUpdateFailedError) -> bool:
    """Whether a run refuses an update because it has none of that name."""
    return isinstance(error.cause, ApplicationError) and UNKNOWN_UPDATE in error.cause.message


async def send_message(
    reach: Reach, found: WorkflowExecutionDescription, name: str, message: Mapping[str, Any], answer: type[M]
) -> M | None:
    """Send an update, or where no worker answers the signal of the same name (None); raises RefusedError if it is refused."""
    must_have_begun(found)
    handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id)
    if await reach.served(found):
        try:
            if (answered := await updated(handle, name, message, answer)) is not None:
                return answered
        except WorkflowUpdateFailedError as error:
            if not _is_unknown(error):  # a run that stays with the build that began it may know the signal alone
                raise RefusedError(found.id, text_of(error.cause)) from error
    await handle.signal(name, dict(message))
    return None
