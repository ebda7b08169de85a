"""The approvals of one run that stand for further calls: which of them covers a call, and who revokes one. Pure.

An approval covers no more than a gate that opened now would let the same people approve: it is held against the policy of
the call itself each time.
"""

from collections.abc import Iterable

from outlast.approvals.standing.bounds import covers, standing_of
from outlast.contracts import Decision, GatePolicy, GateState, ProposedAction, StandingApproval, named, same_digest

MOST_STANDING = 50
"""Approvals that may stand in one run at a time: its memo and each continuation hold them."""


class Given:
    """The standing approvals of one run, by the gate at which each was given."""

    def __init__(self, carried: Iterable[StandingApproval] = ()) -> None:
        self.approvals = {each.gate: each for each in carried}

    def full(self, decision: Decision) -> str:
        """Return why no further approval may stand, where too many do."""
        over = decision.stop_asking is not None and len(self.approvals) >= MOST_STANDING
        return f"stop_asking: {MOST_STANDING} approvals stand in this run; revoke one, or leave it out" if over else ""

    def add(self, gate: GateState) -> StandingApproval | None:
        """Let the approval of a gate stand, where all who approved want that."""
        if (given := standing_of(gate)) is not None:
            self.approvals[gate.name] = given
        return given

    def covering(
        self, action: ProposedAction, policy: GatePolicy, requester: str, *, signed: bool
    ) -> StandingApproval | None:
        """Return the approval that covers a call for which that policy holds; with `signed` its names must be proven."""
        for given in self.approvals.values():
            if covers(given, action) and _may_cover(given, policy, requester, signed):
                return given
        return None

    def concerns(self, action: ProposedAction) -> bool:
        """Whether any of them covers a call, whatever the policy says."""
        return any(covers(given, action) for given in self.approvals.values())

    def count(self, given: StandingApproval) -> None:
        """Count a call that an approval has covered."""
        self.approvals[given.gate] = given.model_copy(update={"covered": self.approvals[given.gate].covered + 1})

    def end_before(self, run: str) -> None:
        """End those that were given before the run was reset and got this run id."""
        self.approvals = {name: given for name, given in self.approvals.items() if given.run == run}

    def revoke(self, decision: Decision) -> StandingApproval | str:
        """End the one that a person names; gives why not, in words."""
        names = ", ".join(self.approvals) or "none"
        if not decision.gate and len(self.approvals) != 1:
            return f"gate: name the one whose approval stands; there is {names}"
        given = self.approvals.get(decision.gate or next(iter(self.approvals)))
        if given is None:
            return f"gate: the approval of {decision.gate!r} does not stand for the run; there is {names}"
        if decision.digest and not same_digest(given.digest, decision.digest):
            return f"digest: {given.gate} approved {given.digest[:12]}, not {decision.digest[:12]}"
        if given.may_revoke and named(decision.by) not in map(named, given.may_revoke):
            return f"{decision.by or 'nobody named'} may not revoke it, {', '.join(filter(None, given.may_revoke))} may"
        return self.approvals.pop(given.gate)


def _may_cover(given: StandingApproval, policy: GatePolicy, requester: str, signed: bool) -> bool:
    if policy.stop_asking is False or (signed and not given.verified):
        return False
    people = {named(name) for name in given.by}
    if not policy.requester_may_approve:
        people.discard(named(requester))
    if policy.eligible:
        people &= {named(name) for name in policy.eligible}
    return len(people) >= (policy.needed or 1)
