"""The commands by which people decide at a gate: `approve`, `deny`, `decide`, and `approver-token` for whoever must sign."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.decisions.sending import DecisionRequest

Run = Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]
Gate = Annotated[str, typer.Argument(help="The gate; not needed where only one waits.", metavar="GATE")]
Who = Annotated[str, typer.Option("--as", help="Your name. Default: APPROVER, or your user name.", metavar="WHO")]
Reason = Annotated[str, typer.Option(help="Why, for the decision log.")]
Digest = Annotated[
    str, typer.Option(help="Decide only if the action still has this digest. Default: that of the action as shown.")
]
StopAsking = Annotated[
    bool,
    typer.Option(
        "--stop-asking",
        help="Approve all further calls of the tool in this run as well, by any of its agents; bounds narrow that.",
    ),
]
Same = Annotated[
    list[str] | None,
    typer.Option(help="Bound: only with the same value of this argument; repeatable.", metavar="ARGUMENT"),
]
SameHost = Annotated[
    list[str] | None,
    typer.Option(help="Bound: only with an address on the same host in this argument; repeatable.", metavar="ARGUMENT"),
]
AtMost = Annotated[
    list[str] | None,
    typer.Option(help="Bound: only with at most this number in this argument; repeatable.", metavar="ARGUMENT=N"),
]
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def approve(
    run_id: Run,
    gate: Gate = "",
    who: Who = "",
    reason: Reason = "",
    digest: Digest = "",
    stop_asking: StopAsking = False,
    same: Same = None,
    same_host: SameHost = None,
    at_most: AtMost = None,
) -> None:
    """Approve what waits at a gate. Exit code 2 with the reason if it is refused.

    Where no worker answers, it is kept and counts once one is back. 'decide --verdict revoke' takes back --stop-asking.
    """
    from outlast.cli.decisions.sending import DecisionRequest
    from outlast.cli.decisions.standing import bounds_of
    from outlast.contracts import Verdict

    bounds = bounds_of(stop_asking, same, same_host, at_most)
    _send(run_id, DecisionRequest(Verdict.APPROVE, gate, who, reason, digest, stop_asking=bounds))


def deny(run_id: Run, gate: Gate = "", who: Who = "", reason: Reason = "", digest: Digest = "") -> None:
    """Deny what waits at a gate. Exit code 2 with the reason if it is refused."""
    from outlast.cli.decisions.sending import DecisionRequest
    from outlast.contracts import Verdict

    _send(run_id, DecisionRequest(Verdict.DENY, gate, who, reason, digest))


def decide(
    run_id: Run,
    gate: Gate = "",
    verdict: Annotated[
        Literal["approve", "deny", "revoke"] | None,
        typer.Option(help="What you decide; revoke takes back an approval that stands for the run."),
    ] = None,
    edit: Annotated[
        str, typer.Option(help="Approve with other arguments: JSON that replaces all of them.", metavar="JSON")
    ] = "",
    edit_file: Annotated[
        Path | None, typer.Option(help="The same, from a file; - reads standard input.", metavar="FILE")
    ] = None,
    who: Who = "",
    reason: Reason = "",
    digest: Digest = "",
    stop_asking: StopAsking = False,
    same: Same = None,
    same_host: SameHost = None,
    at_most: AtMost = None,
) -> None:
    """Decide at a gate with all options, such as edited arguments. Exit code 2 with the reason if it is refused.

    A changed action is another one: where the gate's policy says so, somebody else must approve it.
    """
    from outlast.cli.decisions.sending import DecisionRequest
    from outlast.cli.decisions.standing import bounds_of
    from outlast.contracts import Verdict

    if verdict is None:
        raise LeavingError(WRONG, "--verdict: say approve, deny or revoke")
    if edit and edit_file is not None:
        raise LeavingError(WRONG, "--edit-file: --edit is given too; leave one out")
    named = "--edit-file" if edit_file is not None else "--edit"
    bounds = bounds_of(stop_asking, same, same_host, at_most)
    if bounds is not None and verdict != "approve":
        raise LeavingError(WRONG, "--stop-asking: it goes with --verdict approve; leave it out")
    if (edit or edit_file is not None) and verdict != "approve":
        raise LeavingError(WRONG, f"{named}: what is denied is not carried out; leave it out, or approve")
    arguments = _arguments_in(edit_file) if edit_file is not None else _arguments(edit) if edit else None
    _send(run_id, DecisionRequest(Verdict(verdict), gate, who, reason, digest, arguments, bounds))


def approver_token(
    who: Annotated[str, typer.Argument(help="The person whose decisions it proves.", metavar="WHO")],
    lasts: Annotated[str, typer.Option("--for", help="How long it is good: 30m, 8h, 7d.")] = "8h",
    run_id: Annotated[str, typer.Option("--run", help="Only for this run.", metavar="ID")] = "",
    gate: Annotated[str, typer.Option(help="Only for this gate.")] = "",
) -> None:
    """Make a token that proves who decides; needs APPROVER_SECRET. Its holder sets it as APPROVER_TOKEN.

    One that is bound by --run and --gate may also be pasted into a signal, as the field `token`; it counts once, and not for
    another run of the same id.
    """
    from outlast.cli.decisions.sending import first_run_of, grant
    from outlast.cli.printing import print_secret
    from outlast.cli.reaching import reaching
    from outlast.client import load_settings

    good_for = _time(lasts)
    if gate and not run_id:
        raise LeavingError(WRONG, "--run: name the run that the gate belongs to")
    chain = reaching(lambda reach: first_run_of(reach, run_id)) if run_id else ""
    print_secret(grant(load_settings(), who, good_for, run=run_id, gate=gate, chain=chain))


def _send(run_id: str, request: "DecisionRequest") -> None:
    from outlast.cli.decisions.sending import send
    from outlast.cli.reaching import reaching

    print(reaching(lambda reach: send(reach, run_id, request)))


def _arguments(edit: str) -> dict[str, Any]:
    import json

    try:
        read = json.loads(edit)
    except ValueError as error:
        raise LeavingError(WRONG, f"--edit: not JSON: {error}; fix it there") from error
    return _whole(read, "--edit")


def _arguments_in(file: Path) -> dict[str, Any]:
    from outlast.cli.inputs import read_json

    return _whole(read_json(file, "--edit-file"), f"--edit-file {file}")


def _whole(read: Any, named: str) -> dict[str, Any]:
    if not isinstance(read, dict):
        raise LeavingError(WRONG, f'{named}: give an object with all arguments: {{"input": "…"}}')
    return read


def _time(text: str) -> timedelta:
    read = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    lasts = timedelta(**{UNITS[read[2]]: int(read[1])}) if read else timedelta()
    if not timedelta() < lasts <= timedelta(days=365):
        raise LeavingError(WRONG, f"--for {text}: write minutes, hours or days, at most 365d: 30m, 8h, 7d")
    return lasts
