"""A person's decision from the terminal: shown with the action it is about, signed where it can be, sent, and what came of it.

The trap: an action may be edited between the look at it and the yes. So the digest of the action that was shown goes along.
"""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionDescription

from activities.contracts import SHORT_DIGEST
from bootstrap import Settings
from cli.inbox_listing import gates_of
from cli.leaving import WRONG, LeavingError, say
from cli.pages import safe, seconds
from cli.reaching import Reach
from cli.telling import going_on, tell
from workflows.contracts import GateRecord, GateView, RecordKind, Verdict

SIGNED_FOR = timedelta(minutes=10)
"""How long at least a decision is good that is signed with the secret itself; else to the deadline, as a worker may be away."""


@dataclass(frozen=True)
class Wish:
    """What a person wants: `gate` may be empty where one waits, `who` where settings tell, `digest` for the action as it is."""

    verdict: Verdict
    gate: str = ""
    who: str = ""
    reason: str = ""
    digest: str = ""
    edit: Mapping[str, Any] | None = None


async def send(reach: Reach, workflow_id: str, wish: Wish) -> str:
    """Send a decision and say what came of it; raises LeavingError where it is refused."""
    found = await going_on(reach, workflow_id, ours=False)
    gate = _named(workflow_id, (await gates_of(found)).waiting, wish.gate)
    say("\n".join(safe(line) for line in described(gate, datetime.now(UTC))))
    message = _message(reach.settings, found, gate, wish)
    record = await tell(reach, found, "decide", message, GateRecord)
    if record is None:
        return f"{gate.name} of {workflow_id}: sent; no worker answers now, so it counts once one is back"
    return safe(_told(workflow_id, gate, record))


def described(gate: GateView, now: datetime) -> list[str]:
    """Say in lines what is decided at a gate."""
    left = (gate.deadline - now).total_seconds()
    where = f" on {gate.target}" if gate.target else ""
    who = f" by {', '.join(gate.may_decide)}" if gate.may_decide else ""
    have = f", given by {', '.join(gate.approved_by)}" if gate.approved_by else ""
    return [
        f"{gate.name}: {gate.description}",
        f"  {gate.agent or 'the run'} · {gate.tool or 'no tool'}{where} · {gate.risk} risk · digest {gate.digest[:SHORT_DIGEST]}",
        f"  arguments {gate.arguments}",
        f"  needs {gate.needed} yes{who}{have} · {seconds(left)} left, until {gate.deadline:%Y-%m-%d %H:%M:%S} UTC",
    ]


def grant(settings: Settings, who: str, lasts: timedelta, *, run: str = "", gate: str = "") -> str:
    """Make an approver's token; raises LeavingError where this starter has no secret."""
    from activities.approver_tokens import TokenError, granted  # cryptography takes a tenth of a command to import

    if settings.approver_secret is None:
        raise LeavingError(WRONG, "APPROVER_SECRET: set it to the secret of the workers; tokens are made with it")
    try:
        secret = settings.approver_secret.get_secret_value()
        return granted(secret, who, datetime.now(UTC), lasts, run=run, gate=gate)
    except TokenError as error:
        raise LeavingError(WRONG, f"WHO: {error}") from error
    except OverflowError as error:
        raise LeavingError(WRONG, "--for: that is too long; give at most 365d") from error


def who_decides(settings: Settings, given: str) -> str:
    """Name the person: as given, by APPROVER, or the user of the operating system."""
    if name := given.strip() or settings.approver.strip():
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _named(workflow_id: str, waiting: tuple[GateView, ...], name: str) -> GateView:
    named = [gate for gate in waiting if name in ("", gate.name)]
    if len(named) == 1:
        return named[0]
    names = ", ".join(gate.name for gate in waiting) or "none"
    which = f"GATE: no gate {name!r} waits there" if name else "GATE: name one"
    raise LeavingError(WRONG, f"{which if waiting else 'no gate waits there'}; {workflow_id} has {names} waiting")


def _message(settings: Settings, found: WorkflowExecutionDescription, gate: GateView, wish: Wish) -> dict[str, Any]:
    """Write the decision, with the digest of the action that was shown."""
    digest = wish.digest or gate.digest
    by, token = _signed(settings, found, gate, wish, digest)
    said = {"gate": gate.name, "verdict": str(wish.verdict), "by": by, "digest": digest, "channel": "starter"}
    optional = {"reason": wish.reason, "edit": wish.edit, "token": token}
    return said | {name: value for name, value in optional.items() if value not in ("", None)}


def _signed(
    settings: Settings, found: WorkflowExecutionDescription, gate: GateView, wish: Wish, digest: str
) -> tuple[str, str]:
    """Return who decides, and the token that proves it where this starter has what one is made of."""
    who = who_decides(settings, wish.who)
    if settings.approver_token is not None:
        mine = settings.approver_token.get_secret_value()
    elif settings.approver_secret is not None:
        mine = grant(settings, who, max(SIGNED_FOR, gate.deadline - datetime.now(UTC)))
    elif gate.signed:
        raise LeavingError(
            WRONG,
            "APPROVER_TOKEN: decisions at this gate must be signed; ask for one (python starter.py approver-token)",
        )
    else:
        return who, ""
    from activities.approver_tokens import TokenError, decided, holds

    try:
        owner = str(holds(mine).get("sub", ""))
        if wish.who and wish.who.strip().casefold() != owner.casefold():
            raise LeavingError(WRONG, f"--as {wish.who}: APPROVER_TOKEN is the token of {owner}")
        chain = found.raw_info.first_run_id or found.run_id
        return owner, decided(mine, run=found.id, gate=gate.name, digest=digest, verdict=str(wish.verdict), chain=chain)
    except TokenError as error:
        raise LeavingError(WRONG, f"APPROVER_TOKEN: {error}") from error


def _told(workflow_id: str, gate: GateView, record: GateRecord) -> str:
    who = f" by {record.by}" if record.by else ""
    proven = " (signed)" if record.verified else ""
    more = ""
    if record.kind is RecordKind.EDITED:
        more = f"; it is another action now, {record.digest[:SHORT_DIGEST]}: python starter.py inbox shows whose yes it needs"
    elif record.kind is RecordKind.COUNTED:
        more = f"; {gate.needed} must approve"
    elif record.kind in (RecordKind.DUPLICATE, RecordKind.EARLY):
        more = f"; {record.reason}"
    return f"{gate.name} of {workflow_id}: {record.kind}{who}{proven}{more}"
