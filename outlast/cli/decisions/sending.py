"""A person's decision from the terminal: shown with the action it is about, signed where it can be, sent, and what came of it.

An action may be edited between the look at it and the yes. So the digest of the action that was shown goes along.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionDescription

from outlast.cli.decisions.listing import gates_of, whole
from outlast.cli.decisions.messaging import open_run, send_message
from outlast.cli.decisions.standing import offered
from outlast.cli.decisions.users import user_name
from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.cli.reaching import Reach
from outlast.cli.rendering import safe, seconds
from outlast.client import Settings
from outlast.command_line import command
from outlast.contracts import (
    ARGUMENTS_SHOWN,
    SHORT_DIGEST,
    Bounds,
    GateRecord,
    GatesShown,
    GateView,
    RecordKind,
    Verdict,
    hashed,
)
from outlast.display import escaped_json

TERMINAL_SHOWN = 100_000
"""Characters of arguments that a terminal shows; of longer ones nobody could say that they were seen."""
ONE_LINE = 200
"""Characters of arguments that are shown on one line; longer ones are laid out."""
SIGNED_FOR = timedelta(minutes=10)
"""How long at least a decision is good that is signed with the secret itself; else to the deadline, as a worker may be away."""


@dataclass(frozen=True)
class DecisionRequest:
    """What a person wants: `gate` may be empty where one waits, `who` where settings tell, `digest` for the action as it is.

    `stop_asking` bounds the further calls that they approve as well; None: none.
    """

    verdict: Verdict
    gate: str = ""
    who: str = ""
    reason: str = ""
    digest: str = ""
    edit: Mapping[str, Any] | None = None
    stop_asking: Bounds | None = None


async def send(reach: Reach, workflow_id: str, request: DecisionRequest, tell: Callable[[str], None] = say) -> str:
    """Tell what is decided, send the decision, and return what came of it; raises LeavingError where it is refused."""
    found = await open_run(reach, workflow_id, ours=False)
    if request.verdict is Verdict.REVOKE:
        return await _revoke(reach, found, request, tell)
    (gate,) = await whole(reach, found, [_named(workflow_id, await gates_of(found), request.gate)])
    unseen = not gate.whole or len(gate.arguments) > TERMINAL_SHOWN
    tell("\n".join(safe(line) for line in described(gate, datetime.now(UTC), TERMINAL_SHOWN)))
    if unseen and request.verdict is Verdict.APPROVE and not request.digest:
        raise LeavingError(
            WRONG,
            f"--digest: not all of the arguments could be shown here ({gate.size:,} bytes), so nothing was approved; see them "
            f"where a worker answers, or in the inbox, and say --digest {gate.digest[:SHORT_DIGEST]}",
        )
    message = _message(reach.settings, found, gate, request)
    record = await send_message(reach, found, "decide", message, GateRecord)
    if record is None:
        return f"{gate.name} of {workflow_id}: sent; no worker answers now, so it counts once one is back"
    return safe(_outcome_line(workflow_id, gate, record, asked=request.stop_asking is not None))


async def _revoke(
    reach: Reach, found: WorkflowExecutionDescription, request: DecisionRequest, tell: Callable[[str], None]
) -> str:
    """Take back an approval that stands for the run."""
    standing = (await gates_of(found)).standing
    named = [each for each in standing if request.gate in ("", each.name)]
    if len(named) != 1:
        names = ", ".join(each.name for each in standing) or "none"
        raise LeavingError(WRONG, f"GATE: name one whose approval stands; {found.id} has {names}")
    (given,) = named
    tell(safe(f"{given.name}: {given.description}"))
    view = GateView(
        name=given.name, description="", deadline=datetime.now(UTC), digest=given.digest, signed=given.verified
    )
    record = await send_message(reach, found, "decide", _message(reach.settings, found, view, request), GateRecord)
    if record is None:
        return f"{given.name} of {found.id}: sent; no worker answers now, so it counts once one is back"
    return safe(f"{given.name} of {found.id}: {record.kind} by {record.by}; each call waits for people again")


def described(gate: GateView, now: datetime, width: int = ARGUMENTS_SHOWN) -> list[str]:
    """Describe a gate in lines; arguments longer than `width` characters are cut, with a warning."""
    left = (gate.deadline - now).total_seconds()
    where = f" on {gate.target}" if gate.target else ""
    who = f" by {', '.join(gate.may_decide)}" if gate.may_decide else ""
    have = f", given by {', '.join(gate.approved_by)}" if gate.approved_by else ""
    return [
        f"{gate.name}: {gate.description}",
        f"  {gate.agent or 'the run'} · {gate.tool or 'no tool'}{where} · {gate.risk} risk · digest {gate.digest[:SHORT_DIGEST]}",
        *_arguments(gate, width),
        f"  needs {gate.needed} yes{who}{have} · {seconds(left)} left, until {gate.deadline:%Y-%m-%d %H:%M:%S} UTC",
        *([f"  {gate.approval_rule}"] if gate.approval_rule else []),
        *offered(gate),
        *(f"  before: {one.step}{f' ({one.agent})' if one.agent else ''}: {one.summary}" for one in gate.before),
        *([f"  report: {gate.report}"] if gate.report else []),
    ]


def _arguments(gate: GateView, width: int) -> list[str]:
    cut = not gate.whole or len(gate.arguments) > width
    text = gate.arguments
    if not cut and len(text) > ONE_LINE:
        with suppress(ValueError):
            text = escaped_json(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
    shown = f"  arguments {text[:width]}{'…' if len(text) > width else ''}".splitlines()
    counted = f"  {'; '.join((f'{gate.size:,} bytes', *gate.counts))}" if gate.counts or cut else ""
    warning = "  ! these arguments are cut: look at all of them before you approve (approve shows them)" if cut else ""
    return [line for line in (*shown, counted, warning) if line]


def grant(settings: Settings, who: str, lasts: timedelta, *, run: str = "", gate: str = "", chain: str = "") -> str:
    """Make an approver's token; raises LeavingError where this starter has no secret."""
    from outlast.approvals.tokens import TokenError, granted  # cryptography takes a tenth of a command to import

    if settings.approver_secret is None:
        raise LeavingError(WRONG, "APPROVER_SECRET: set it to the secret of the workers; tokens are made with it")
    try:
        secret = settings.approver_secret.get_secret_value()
        return granted(secret, who, datetime.now(UTC), lasts, run=run, gate=gate, chain=chain)
    except TokenError as error:
        raise LeavingError(WRONG, f"WHO: {error}") from error
    except OverflowError as error:
        raise LeavingError(WRONG, "--for: that is too long; give at most 365d") from error


async def first_run_of(reach: Reach, workflow_id: str) -> str:
    """Return the first run id of a run, which tells it from others of the same id; raises LeavingError where there is none."""
    found = await reach.find(workflow_id, ours=False)
    return found.raw_info.first_run_id or found.run_id


def who_decides(settings: Settings, given: str) -> str:
    """Name the person: as given, by APPROVER, or the user of the operating system."""
    return given.strip() or settings.approver.strip() or user_name()


def _named(workflow_id: str, shown: GatesShown, name: str) -> GateView:
    waiting = shown.waiting
    named = [gate for gate in waiting if name in ("", gate.name)]
    if len(named) == 1:
        return named[0]
    names = ", ".join(gate.name for gate in waiting) or "none"
    names += f" and {shown.more} more" if shown.more else ""
    which = f"GATE: no gate {name!r} waits there" if name else "GATE: name one"
    raise LeavingError(WRONG, f"{which if waiting else 'no gate waits there'}; {workflow_id} has {names} waiting")


def _message(
    settings: Settings, found: WorkflowExecutionDescription, gate: GateView, request: DecisionRequest
) -> dict[str, Any]:
    """Write the decision, with the digest of the action that was shown."""
    digest = request.digest or gate.digest
    bounds = {"digest": digest, "edit": "" if request.edit is None else hashed(request.edit)}
    bounds["stop_asking"] = "" if request.stop_asking is None else request.stop_asking.digest
    by, token = _signed(settings, found, gate, request, bounds)
    message = {"gate": gate.name, "verdict": str(request.verdict), "by": by, "digest": digest, "channel": "starter"}
    optional: dict[str, Any] = {"reason": request.reason, "edit": request.edit, "token": token}
    if request.stop_asking is not None:
        optional["stop_asking"] = request.stop_asking.as_sent
    return message | {name: value for name, value in optional.items() if value not in ("", None)}


def _signed(
    settings: Settings,
    found: WorkflowExecutionDescription,
    gate: GateView,
    request: DecisionRequest,
    bounds: Mapping[str, str],
) -> tuple[str, str]:
    """Return who decides, and the token that proves it where this starter has what one is made of."""
    who = who_decides(settings, request.who)
    if settings.approver_token is not None:
        mine = settings.approver_token.get_secret_value()
    elif settings.approver_secret is not None:
        mine = grant(settings, who, max(SIGNED_FOR, gate.deadline - datetime.now(UTC)))
    elif gate.signed:
        raise LeavingError(
            WRONG,
            f"APPROVER_TOKEN: decisions at this gate must be signed; ask for one ({command('approver-token')})",
        )
    else:
        return who, ""
    from outlast.approvals.tokens import TokenError, decided, holds

    try:
        owner = str(holds(mine).get("sub", ""))
        if request.who and request.who.strip().casefold() != owner.casefold():
            raise LeavingError(WRONG, f"--as {request.who}: APPROVER_TOKEN is the token of {owner}")
        chain = found.raw_info.first_run_id or found.run_id
        return owner, decided(mine, run=found.id, chain=chain, gate=gate.name, verdict=str(request.verdict), **bounds)
    except TokenError as error:
        raise LeavingError(WRONG, f"APPROVER_TOKEN: {error}") from error


def _outcome_line(workflow_id: str, gate: GateView, record: GateRecord, *, asked: bool) -> str:
    who = f" by {record.by}" if record.by else ""
    proven = " (signed)" if record.verified else ""
    more = ""
    if record.kind is RecordKind.EDITED:
        more = (
            f"; it is another action now, {record.digest[:SHORT_DIGEST]}: {command('inbox')} shows whose yes it needs"
        )
    elif record.kind is RecordKind.COUNTED:
        more = f"; {gate.needed} must approve"
        more += ", and further calls are covered only if each of them says so" if asked else ""
    elif record.standing:
        more = f"; from here on {record.standing} is approved in this run"
    elif record.kind in (RecordKind.DUPLICATE, RecordKind.EARLY):
        more = f"; {record.reason}"
    return f"{gate.name} of {workflow_id}: {record.kind}{who}{proven}{more}"
