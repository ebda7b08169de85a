"""The words by which somebody approves and stops asking, in a terminal: `--stop-asking`, and the bounds that narrow it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.contracts import Bounds, GateView

STOP_ASKING = "--stop-asking"
BOUNDS = ("--same", "--same-host", "--at-most")
"""The options that narrow it; each takes a value, and may be repeated."""


def bounds_of(
    stop_asking: bool, same: Sequence[str] | None, same_host: Sequence[str] | None, at_most: Sequence[str] | None
) -> "Bounds | None":
    """Read the bounds of an approval that shall stand; None where it is for this action alone. Raises LeavingError."""
    from outlast.approvals.standing.bounds import read_bounds

    wanted = {"same": same, "same_host": same_host, "at_most": dict(map(_amount, at_most or ()))}
    bounds = {name: value for name, value in wanted.items() if value}
    if bounds and not stop_asking:
        raise LeavingError(
            WRONG, f"--{next(iter(bounds)).replace('_', '-')}: a bound goes with {STOP_ASKING}; say it, too"
        )
    read = read_bounds(bounds or stop_asking)
    if isinstance(read, str):
        raise LeavingError(WRONG, f"{STOP_ASKING}: {read}")
    return read


def bounds_in(text: str) -> "tuple[Bounds | None, str]":
    """Split these options off the beginning of a text, the rest being the reason; raises LeavingError that names a wrong one."""
    stop_asking, given = False, dict[str, list[str]]()
    left = text.split()
    while left and (option := left[0].partition("=")[0]) in (STOP_ASKING, *BOUNDS):
        _, equals, value = left.pop(0).partition("=")
        if option == STOP_ASKING and not equals:
            stop_asking = True
            continue
        if not equals and left:
            value = left.pop(0)
        if option == STOP_ASKING or not value or value.startswith("--"):
            takes = "ARGUMENT=N" if option == "--at-most" else "ARGUMENT"
            raise LeavingError(WRONG, f"{option}: write {option}{'' if option == STOP_ASKING else f' {takes}'}")
        given.setdefault(option, []).append(value)
    if late := [word for word in left if word.partition("=")[0] in (STOP_ASKING, *BOUNDS)]:
        raise LeavingError(WRONG, f"{late[0]}: it comes right after the gate, before the reason, so nothing was sent")
    return bounds_of(stop_asking, *(given.get(option) for option in BOUNDS)), " ".join(left)


def offered(gate: "GateView") -> list[str]:
    """Tell, in a line, how an approval at this gate may cover further calls; nothing where it may not."""
    from outlast.approvals.standing.offers import offers_of

    if not gate.repeats:
        return []
    bounds = [
        words
        for one in offers_of(gate)
        for words in (
            f"--same {one.name}",
            f"--same-host {one.name}" if one.host else "",
            f"--at-most {one.name}=N" if one.number else "",
        )
        if words
    ]
    within = f", or those within bounds: {', '.join(bounds)}" if bounds else ""
    return [f"  {STOP_ASKING} approves all further calls of {gate.tool} in this run as well{within}"]


def _amount(text: str) -> tuple[str, float]:
    name, equals, number = text.partition("=")
    try:
        return name.strip(), float(number) if equals else float("nan")
    except ValueError:
        raise LeavingError(WRONG, f"--at-most {text}: write ARGUMENT=N, such as amount=100") from None
