"""What tests of checkpoints and pauses send, and how they wait for a run to stand still; only with time skipping disabled."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from outlast.contracts import GateRecord, PauseAnswer, RunStatus

Handle = WorkflowHandle[Any, Any]


async def status_when(handle: Handle, holds: Callable[[RunStatus], Any]) -> RunStatus:
    async with asyncio.timeout(30):
        while True:
            status: RunStatus = await handle.query("status", result_type=RunStatus)
            if holds(status):
                return status
            await asyncio.sleep(0.05)


async def at_a_checkpoint(handle: Handle) -> RunStatus:
    return await status_when(handle, lambda status: status.gates)


async def decided(handle: Handle, verdict: str, **fields: Any) -> GateRecord:
    message = {"verdict": verdict, "by": "ada"} | fields
    record: GateRecord = await handle.execute_update("decide", message, result_type=GateRecord)
    return record


async def refusal(handle: Handle, **fields: Any) -> str:
    """Send a decision that must be refused, and return why it is."""
    try:
        record = await decided(handle, "approve", **fields)
    except WorkflowUpdateFailedError as error:
        return str(error.cause)
    raise AssertionError(f"it was not refused: {record}")


async def asked(handle: Handle, what: str, *args: Any) -> PauseAnswer:
    answer: PauseAnswer = await handle.execute_update(what, args=list(args), result_type=PauseAnswer)
    return answer
