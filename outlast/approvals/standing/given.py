"""The approvals that stand for further calls of one run: which of them covers a call, and who revokes one. Pure.

An approval covers no more than a gate that opened now would let the same people approve: it is held against the policy of
the call itself each time.
"""

from collections.abc import Iterable

from outlast.approvals.rules import denied_before
from outlast.approvals.standing.bounds import covers, standing_of
from outlast.contracts import (
    Decided,
    Decision,
    GatePolicy,
    GateState,
    ProposedAction,
    StandingApproval,
    named,
    same_digest,
)

MOST_STANDING = 50
"""Approvals that may stand in one run at a time: its memo and each continuation hold them."""
MOST_REVOKED = 100
"""Approvals that may be revoked in one run, and be kept in mind, so that no other run brings them back."""


class Given:
    """The standing approvals of one run, by name: those given at its own gates, and those of runs above and below it."""

    def __init__(self, carried: Iterable[StandingApproval] = (), revoked: Iterable[StandingApproval] = ()) -> None:
        self.approvals = {each.name: each for each in carried}
        self.revoked = list(revoked)
        self._alone = False

    @property
    def known(self) -> bool:
        """Whether any approval stands, or did."""
        return bool(self.approvals or self.revoked)

    def full(self, decision: Decision) -> str:
        """Return why no further approval may stand, where too many do."""
        if decision.stop_asking is None:
            return ""
        if len(self.revoked) >= MOST_REVOKED:
            return f"stop_asking: {MOST_REVOKED} approvals were revoked in this run; leave it out"
        over = len(self.approvals) >= MOST_STANDING
        return f"stop_asking: {MOST_STANDING} approvals stand in this run; revoke one, or leave it out" if over else ""

    def decided(self, run: str) -> Decided:
        """Return what other runs of the tree are told; `run` is the id of this one."""
        return Decided(standing=_of(run, self.approvals.values()), revoked=_of(run, self.revoked))

    def adopt(self, decided: Decided, run: str) -> tuple[list[StandingApproval], list[StandingApproval]]:
        """Take over what people decided in another run of the tree; returns what stands from now on, and what no longer does.

        What was revoked anywhere is not taken up again, nor is anything once the run is `alone`.
        """
        gone = {(each.given_in, each.gate) for each in (*_of(run, self.revoked), *decided.revoked)}
        self.revoked += [
            each.model_copy(update={"given_in": "" if each.given_in == run else each.given_in})
            for each in decided.revoked
            if (each.given_in, each.gate) not in {(one.given_in, one.gate) for one in _of(run, self.revoked)}
        ]
        ended = [each for each in self.approvals.values() if (each.given_in or run, each.gate) in gone]
        self.approvals = {name: each for name, each in self.approvals.items() if each not in ended}
        new: list[StandingApproval] = []
        for each in () if self._alone else decided.standing:
            other = each.given_in not in ("", run) and (each.given_in, each.gate) not in gone
            if other and each.name not in self.approvals and len(self.approvals) < MOST_STANDING:
                new.append(each.model_copy(update={"covered": 0}))
                self.approvals[each.name] = new[-1]
        return new, ended

    def add(self, gate: GateState) -> StandingApproval | None:
        """Let the approval of a gate stand, where all who approved want that."""
        if (given := standing_of(gate)) is not None:
            self.approvals[given.name] = given
        return given

    def covering(
        self, action: ProposedAction, policy: GatePolicy, asked_by: tuple[str, ...], *, signed: bool
    ) -> StandingApproval | None:
        """Return the approval that covers a call for which that policy holds; with `signed` its names must be proven."""
        for given in self.approvals.values():
            if covers(given, action) and _may_cover(given, policy, asked_by, signed):
                return given
        return None

    def settling(self, gate: GateState, denied: Iterable[GateState], *, signed: bool) -> StandingApproval | None:
        """Return the approval that settles a gate which waits; None where people must decide.

        At one of the gates `denied` its act may have been denied meanwhile; and whoever edited it does not approve it.
        """
        if not gate.repeats or denied_before(denied, gate.action) is not None:
            return None
        editor = gate.editor if gate.policy.edit_needs_another_approver else ""
        for given in self.approvals.values():
            if covers(given, gate.action) and _may_cover(given, gate.policy, gate.askers, signed, editor):
                return given
        return None

    def concerns(self, action: ProposedAction) -> bool:
        """Whether any of them covers a call, whatever the policy says."""
        return any(covers(given, action) for given in self.approvals.values())

    def count(self, given: StandingApproval) -> None:
        """Count a call that an approval has covered."""
        self.approvals[given.name] = given.model_copy(update={"covered": self.approvals[given.name].covered + 1})

    def end_before(self, run: str) -> None:
        """End those that were given before the run was reset and got this run id, and those of other runs."""
        self.alone()
        self.approvals = {name: given for name, given in self.approvals.items() if given.run == run}

    def alone(self) -> None:
        """Let nothing stand here, from now on, that was given in another run."""
        self._alone = True
        self.approvals = {name: given for name, given in self.approvals.items() if not given.given_in}

    def revoke(self, decision: Decision) -> StandingApproval | str:
        """End the one that a person names; gives why not, in words."""
        names = ", ".join(self.approvals) or "none"
        if not decision.gate and len(self.approvals) != 1:
            return f"gate: name the one whose approval stands; there is {names}"
        given = self.approvals.get(decision.gate or next(iter(self.approvals)))
        if given is None:
            return f"gate: the approval of {decision.gate!r} does not stand for the run; there is {names}"
        if decision.digest and not same_digest(given.digest, decision.digest):
            return f"digest: {given.name} approved {given.digest[:12]}, not {decision.digest[:12]}"
        if given.may_revoke and named(decision.by) not in map(named, given.may_revoke):
            return f"{decision.by or 'nobody named'} may not revoke it, {', '.join(filter(None, given.may_revoke))} may"
        self.revoked.append(given)
        return self.approvals.pop(given.name)


def _of(run: str, approvals: Iterable[StandingApproval]) -> tuple[StandingApproval, ...]:
    return tuple(each.model_copy(update={"given_in": each.given_in or run}) for each in approvals)


def _may_cover(
    given: StandingApproval, policy: GatePolicy, asked_by: tuple[str, ...], signed: bool, editor: str = ""
) -> bool:
    if policy.stop_asking is False or (signed and not given.verified):
        return False
    people = {named(name) for name in given.by} - {named(editor)}
    if not policy.requester_may_approve:
        people -= {named(name) for name in asked_by}
    if policy.eligible:
        people &= {named(name) for name in policy.eligible}
    return len(people) >= (policy.needed or 1)
