"""Sends a decision to its run: as an update, which is answered at once, or as a signal, which counts once a worker is back.

The server lists a worker for minutes after it has died, and an update that no worker takes waits forever. So after a few seconds
the same is sent as a signal; a run takes the same decision twice for one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError

from outlast.approvals.tokens import decided
from outlast.cli.decisions.messaging import with_way_out
from outlast.cli.inbox.sessions import Session
from outlast.cli.inbox.waiting import RunSeen
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import Reach
from outlast.contracts import GateRecord, RecordKind, Verdict, hashed
from outlast.errors import text_of

ANSWERS_WITHIN = 5.0


@dataclass(frozen=True)
class PageDecision:
    """What a person decided on a page: `digest` is that of the action shown there, `edit` replaces all its arguments."""

    gate: str
    verdict: Verdict
    digest: str
    reason: str = ""
    edit: Mapping[str, Any] | None = None


async def send(reach: Reach, seen: RunSeen, session: Session, decision: PageDecision) -> str:
    """Send a decision, signed where the session has a token; returns the outcome, raises LeavingError where it is refused."""
    run = seen.found
    message: dict[str, Any] = {
        "gate": decision.gate,
        "verdict": str(decision.verdict),
        "by": session.who,
        "digest": decision.digest,
        "channel": "inbox",
    }
    if decision.reason:
        message["reason"] = decision.reason
    if decision.edit is not None:
        message["edit"] = dict(decision.edit)
    if session.grant:
        chain = run.raw_info.first_run_id or run.run_id
        bounds = {"run": run.id, "gate": decision.gate, "digest": decision.digest, "verdict": str(decision.verdict)}
        bounds["edit"] = "" if decision.edit is None else hashed(decision.edit)
        message["token"] = decided(session.grant, **bounds, chain=chain)
    record = await _deliver(reach, seen, message)
    if record is None:
        return f"{decision.gate}: sent; no worker answers now, so it counts once one is back"
    return outcome_line(decision.gate, record)


def outcome_line(gate: str, record: GateRecord) -> str:
    """Return the outcome of a decision in one line."""
    signed = " (signed)" if record.verified else ""
    after = {
        RecordKind.EDITED: "; with other arguments it is another action, and waits for the yes that its policy demands",
        RecordKind.COUNTED: "; more people must approve",
        RecordKind.DUPLICATE: f"; {record.reason}",
        RecordKind.EARLY: f"; {record.reason}",
    }.get(record.kind, "")
    return f"{gate}: {record.kind} by {record.by}{signed}{after}"


async def _deliver(reach: Reach, seen: RunSeen, message: Mapping[str, Any]) -> GateRecord | None:
    handle = reach.client.get_workflow_handle(seen.found.id, run_id=seen.found.run_id)
    if await reach.served(seen.found):
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                record: GateRecord = await handle.execute_update("decide", dict(message), result_type=GateRecord)
                return record
        except WorkflowUpdateFailedError as error:
            raise LeavingError(WRONG, with_way_out(text_of(error.cause))) from error
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            pass
    await handle.signal("decide", dict(message))
    return None
