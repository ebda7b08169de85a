"""The bounds of an approval that stands for its run: read from a message, held against the approved call and later ones. Pure.

What cannot be compared for certain is out of bounds, and people are asked again.
"""

import re
from collections.abc import Mapping
from typing import Any

from outlast.contracts import (
    SUMMARY_LENGTH,
    Bounds,
    Decision,
    GateState,
    ProposedAction,
    StandingApproval,
    hashed,
    named,
)
from outlast.display import displayable

EXAMPLE = 'true, or bounds: {"same": ["to"], "same_host": ["url"], "at_most": {"amount": 100}}'
ALONE = "; leave stop_asking out to approve this call alone"
MOST_NAMES = 10
"""Arguments that one kind of bound may name."""
LONGEST_NAME = 100
"""Characters of the name of one."""
LARGEST = 1e15
"""Larger numbers are not compared exactly."""
PORTS = {"http": 80, "https": 443}
ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])\.?(?::(?P<port>\d{1,5}))?(?:[/?#].*)?",
    re.IGNORECASE,
)
VALUE_SHOWN = 40


def read_bounds(data: Any) -> Bounds | str | None:
    """Read the field `stop_asking`: JSON true or an object of bounds, and nothing else; gives why not, in words."""
    if data is None or data is False:
        return None
    if data is True:
        return Bounds()
    if not isinstance(data, Mapping) or not data:
        return f"stop_asking: {repr(data)[:60]} is not understood; send {EXAMPLE}"
    fields: dict[str, Any] = {}
    for name, value in data.items():
        if name not in Bounds.model_fields:
            return f"stop_asking.{str(name)[:60]}: there is no such bound; there are {', '.join(Bounds.model_fields)}"
        if why := _wrong_amounts(value) if name == "at_most" else _wrong_names(value):
            return f"stop_asking.{name}: {why}"
        fields[name] = dict(value) if name == "at_most" else tuple(dict.fromkeys(value))
    return Bounds.model_validate(fields)


def _wrong_names(value: Any) -> str:
    names = isinstance(value, list | tuple) and all(
        isinstance(one, str) and 0 < len(one) <= LONGEST_NAME for one in value
    )
    return "" if names and 0 < len(value) <= MOST_NAMES else f"give a list of names of arguments, at most {MOST_NAMES}"


def _wrong_amounts(value: Any) -> str:
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST_NAMES or not all(isinstance(n, str) for n in value):
        return 'give an object of arguments and the most that each may be: {"amount": 100}'
    wrong = [name for name, most in value.items() if not is_amount(most)]
    return f"{wrong[0][:60]}: {repr(value[wrong[0]])[:60]} is not a number from 0 on" if wrong else ""


def objection_to_bounds(gate: GateState, action: ProposedAction, decision: Decision) -> str:
    """Return why an approval of this action may not stand for the run as its sender wants it to."""
    bounds, policy = decision.stop_asking, gate.policy
    if bounds is None:
        return ""
    if not gate.repeats:
        return f"stop_asking: {gate.name} is about nothing that an agent may do again by calling a tool{ALONE}"
    if not policy.stop_asking:
        return f"stop_asking: by the policy of this gate each call needs an approval of its own{ALONE}"
    if not named(decision.by):
        return "stop_asking: it does not say by whom; send your name"
    if policy.eligible and named(decision.by) not in map(named, policy.eligible):
        return f"stop_asking: {decision.by} may decide only on this call, which was escalated{ALONE}"
    if action.digest != gate.digest and policy.edit_needs_another_approver:
        return "stop_asking: whoever changes an action does not approve it; leave it out, for those who will"
    if action.ref is not None and bounds != Bounds():
        return f"stop_asking: these arguments are so large that they are kept apart, where no bounds are checked{ALONE}"
    return _objection_to_arguments(gate, action, bounds)


def _objection_to_arguments(gate: GateState, action: ProposedAction, bounds: Bounds) -> str:
    """Return which bound the approved call itself does not have, or is beyond."""
    known = gate.takes or tuple(action.input)
    for field, names in (("same", bounds.same), ("same_host", bounds.same_host), ("at_most", tuple(bounds.at_most))):
        for name in names:
            value, where = action.input.get(name), f"stop_asking.{field}: {name!r}"
            if name not in known:
                return f"{where} is no argument of {action.tool}; it takes {', '.join(known) or 'none'}"
            if field == "same_host" and host_of(value) is None:
                return f"{where} is {repr(value)[:60]}, which is not the address of a web page"
            if field == "at_most" and (value is None or not is_amount(value)):
                return f"{where} is {repr(value)[:60]}, which is not a number from 0 on"
            if field == "at_most" and value is not None and value > bounds.at_most[name]:
                return f"{where} is {_number(value)} in this call itself, more than {_number(bounds.at_most[name])}"
    return ""


def standing_of(gate: GateState) -> StandingApproval | None:
    """Make the standing approval of a gate that was approved: within the bounds of all who approved, and only if all want it."""
    wanted = [each.stop_asking for each in gate.approvers if each.stop_asking is not None]
    if not wanted or len(wanted) < len(gate.approvers):
        return None
    action, people = gate.action, tuple(each.by for each in gate.approvers)
    same = {name: _fingerprint(action.input, name) for each in wanted for name in each.same}
    hosts = {name: host_of(action.input.get(name)) or "" for each in wanted for name in each.same_host}
    most: dict[str, float] = {}
    for each in wanted:
        most |= {name: min(amount, most.get(name, amount)) for name, amount in each.at_most.items()}
    return StandingApproval(
        gate=gate.name,
        tool=action.tool,
        target=action.target,
        by=people,
        verified=all(each.verified for each in gate.approvers),
        since=gate.approvers[-1].when,
        digest=gate.digest,
        run=gate.run,
        same=same,
        same_host=hosts,
        at_most=most,
        words=_in_words(action, same, hosts, most),
        may_revoke=tuple(dict.fromkeys((*gate.may_decide, *people, gate.requester, *gate.asked_by)))
        if gate.may_decide
        else (),
    )


def covers(standing: StandingApproval, action: ProposedAction) -> bool:
    """Whether an action is a call of the same tool within the bounds."""
    if (action.tool, action.target) != (standing.tool, standing.target):
        return False
    if not (standing.same or standing.same_host or standing.at_most):
        return True
    given = action.input
    return (
        action.ref is None
        and all(_fingerprint(given, name) == value for name, value in standing.same.items())
        and all(host_of(given.get(name)) == host for name, host in standing.same_host.items())
        and all(is_amount(given.get(name)) and given[name] <= most for name, most in standing.at_most.items())
    )


def host_of(value: Any) -> str | None:
    """Return scheme, host and port of a web address; None for what not everybody reads as the same one."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or set(value) & {"\\", " "}:
        return None
    found = ADDRESS.fullmatch(value)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"] or PORTS[scheme])
    return f"{scheme}://{found['host'].lower()}:{port}" if 0 < port < 65_536 else None


def is_amount(value: Any) -> bool:
    """Whether a value is a number that a limit can be held against."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _fingerprint(given: Mapping[str, Any], name: str) -> str:
    # As hashes of JSON, because Python takes 1, 1.0 and true for the same; a value that is absent must stay so.
    return hashed({"value": given[name]}) if name in given else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def _in_words(
    action: ProposedAction, same: Mapping[str, str], hosts: Mapping[str, str], most: Mapping[str, float]
) -> str:
    def value(name: str) -> str:
        text = " ".join(str(action.input.get(name, "nothing")).split())
        return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 1]}…"

    bounds = [
        *(f"{name} {value(name)}" for name in same),
        *(f"{name} on {host}" for name, host in hosts.items()),
        *(f"{name} at most {_number(amount)}" for name, amount in most.items()),
    ]
    text = displayable(f"every call of {action.tool}" + (f" with {', '.join(bounds)}" if bounds else ""))
    return text if len(text) <= SUMMARY_LENGTH else f"{text[: SUMMARY_LENGTH - 1]}…"
