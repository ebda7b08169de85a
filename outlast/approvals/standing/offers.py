"""What an approval that stands for its run can be bounded by: the arguments of the approved call, for whoever chooses. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outlast.approvals.standing.bounds import host_of, is_amount
from outlast.contracts import GateView

OFFERED = 20
"""Arguments by which a form offers bounds."""


@dataclass(frozen=True)
class Offer:
    """An argument that a bound may name: `host` is the address that it holds ("" for none), `number` whether it is an amount."""

    name: str
    host: str
    number: bool


def offers(arguments: Mapping[str, Any]) -> list[Offer]:
    """List what an approval of a call with these arguments can be bounded by."""
    return [Offer(name, host_of(value) or "", is_amount(value)) for name, value in list(arguments.items())[:OFFERED]]


def offers_of(gate: GateView) -> list[Offer]:
    """List what an approval at a gate can be bounded by; nothing where its arguments are cut, or it covers no further calls."""
    if not (gate.repeats and gate.whole):
        return []
    try:
        data = json.loads(gate.arguments)
    except (ValueError, RecursionError):
        return []
    return offers(data) if isinstance(data, dict) else []
