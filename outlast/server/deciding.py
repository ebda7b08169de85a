"""Sends a decision to its run: as an update, which is answered at once, or as a signal, which counts once a worker is back.

The server lists a worker for minutes after it has died, and an update that no worker takes waits forever. So after a few seconds
the same is sent as a signal; a run takes the same decision twice for one. A run that was started with a delay takes none before
it has begun: any message would let it begin at once.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from outlast.approvals.tokens import decided
from outlast.cli.decisions.messaging import ANSWERS_WITHIN, answers, updated, with_way_out
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import Reach, must_have_begun
from outlast.contracts import Bounds, GateRecord, RecordKind, Verdict, hashed
from outlast.errors import text_of
from outlast.server.access import Caller
from outlast.server.waiting import RunSeen


@dataclass(frozen=True)
class Decided:
    """What a person decided: `digest` is that of the action that they saw, `edit` replaces all its arguments.

    `stop_asking` bounds the further calls that they approve as well; None: none.
    """

    gate: str
    verdict: Verdict
    digest: str
    reason: str = ""
    edit: Mapping[str, Any] | None = None
    stop_asking: Bounds | None = None


async def send(reach: Reach, seen: RunSeen, caller: Caller, decision: Decided, channel: str) -> GateRecord | None:
    """Send a decision, signed where the caller has an approver token; None where it counts once a worker is back.

    Raises LeavingError where it is refused.
    """
    must_have_begun(seen.found)
    return await _deliver(reach, seen, message_of(seen, caller, decision, channel))


def message_of(seen: RunSeen, caller: Caller, decision: Decided, channel: str) -> dict[str, Any]:
    """Write a decision as the run takes it, signed where the caller has an approver token."""
    run = seen.found
    message: dict[str, Any] = {
        "gate": decision.gate,
        "verdict": str(decision.verdict),
        "by": caller.name,
        "digest": decision.digest,
        "channel": channel,
    }
    if decision.reason:
        message["reason"] = decision.reason
    if decision.edit is not None:
        message["edit"] = dict(decision.edit)
    if decision.stop_asking is not None:
        message["stop_asking"] = decision.stop_asking.as_sent
    if caller.grant:
        chain = run.raw_info.first_run_id or run.run_id
        bounds = {"run": run.id, "gate": decision.gate, "digest": decision.digest, "verdict": str(decision.verdict)}
        bounds["edit"] = "" if decision.edit is None else hashed(decision.edit)
        bounds["stop_asking"] = "" if decision.stop_asking is None else decision.stop_asking.digest
        message["token"] = decided(caller.grant, **bounds, chain=chain)
    return message


async def send_within(
    reach: Reach, seen: RunSeen, message: Mapping[str, Any], seconds: float
) -> tuple[GateRecord | None, "asyncio.Task[GateRecord | None] | None"]:
    """Send a decision to somebody who cannot wait: it is the run's when this returns.

    Where no worker has taken it in this time, the record is None, and the task, if a worker answers at all, may still say what
    came of it. Raises LeavingError where it is refused.
    """
    must_have_begun(seen.found)
    handle = reach.client.get_workflow_handle(seen.found.id, run_id=seen.found.run_id)
    if not await answers(handle, seconds / 2):  # an update would come on top of the signal once a worker is back
        await handle.signal("decide", dict(message))
        return None, None
    task = asyncio.create_task(_updated(handle, message))
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done() and (record := await task) is not None:
            return record, None
        await handle.signal("decide", dict(message))
    except BaseException:
        task.cancel()
        raise
    return None, task


def outcome_line(gate: str, record: GateRecord | None) -> str:
    """Return the outcome of a decision in one line."""
    if record is None:
        return f"{gate}: sent; no worker answers now, so it counts once one is back"
    signed = " (signed)" if record.verified else ""
    after = {
        RecordKind.EDITED: "; with other arguments it is another action, and waits for the yes that its policy demands",
        RecordKind.COUNTED: "; more people must approve",
        RecordKind.DUPLICATE: f"; {record.reason}",
        RecordKind.EARLY: f"; {record.reason}",
        RecordKind.REVOKED: "; each call waits for people again",
    }.get(record.kind, "")
    after += f"; from here on {record.standing} is approved in this run" if record.standing else ""
    return f"{gate}: {record.kind} by {record.by}{signed}{after}"


async def _deliver(reach: Reach, seen: RunSeen, message: Mapping[str, Any]) -> GateRecord | None:
    handle = reach.client.get_workflow_handle(seen.found.id, run_id=seen.found.run_id)
    served = await reach.served(seen.found)
    if served and (record := await _updated(handle, message, ANSWERS_WITHIN)) is not None:
        return record
    await handle.signal("decide", dict(message))
    return None


async def _updated(
    handle: WorkflowHandle[Any, Any], message: Mapping[str, Any], within: float | None = None
) -> GateRecord | None:
    try:
        return await updated(handle, "decide", message, GateRecord, within)
    except WorkflowUpdateFailedError as error:
        raise LeavingError(WRONG, with_way_out(text_of(error.cause))) from error
