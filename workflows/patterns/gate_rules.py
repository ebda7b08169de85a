"""Whether a decision counts at a gate: who may decide, on what, and whether anybody is left who may.

Each function says in words why not, or nothing. The trap: a name is what the sender claims. These rules keep honest people from
mistakes; who may send to a run at all is for the server's authorisation.
"""

from collections.abc import Iterable, Sequence

from activities.contracts import SHORT_DIGEST, Effect, ProposedAction, Risk, same_digest
from workflows.contracts import Decision, GatePolicy, GateState, Verdict, named


def objection(gate: GateState, decision: Decision, *, early: bool) -> str:
    """Say why a decision does not count at this gate, if it does not."""
    if decision.digest and not same_digest(gate.digest, decision.digest):
        return _other_action(gate, decision.digest)
    if decision.verdict is Verdict.DENY:
        return objection_to_denial(gate, decision)
    if early and gate.action.risk is Risk.HIGH and not decision.digest:
        return "given before the action was known, and its risk is high; decide again now that it is shown"
    who, policy = named(decision.by), gate.policy
    requester = "" if policy.requester_may_approve else named(gate.requester)
    if not who and (gate.may_decide or policy.needed > 1 or requester or gate.editor):
        return "it does not say by whom; send your name"
    if requester and who == requester:
        return f"{decision.by} asked for this action and may not approve it"
    if policy.edit_needs_another_approver and gate.editor and who == named(gate.editor):
        return f"{decision.by} changed this action, and another must approve it"
    return _stranger(gate, decision)


def objection_to_denial(gate: GateState, decision: Decision) -> str:
    """Say why somebody may not deny; whoever asked for an action may always take it back."""
    if gate.requester and named(decision.by) == named(gate.requester):
        return ""
    return _stranger(gate, decision)


def objection_to_edit(gate: GateState, decision: Decision) -> str:
    """Say why an edit may not be made: nobody could approve what it makes."""
    policy = gate.policy
    if not policy.edit_needs_another_approver:
        return ""
    if not named(decision.by):
        return "an edit needs the name of who made it, because another must approve it"
    left = len(able(policy, gate.requester, decision.by))
    if policy.eligible and left < policy.needed:
        return f"{policy.needed} others must approve an edit, and only {left} could; deny it instead"
    return ""


def denied_before(gates: Iterable[GateState], action: ProposedAction) -> GateState | None:
    """Return the gate at which people denied this act in this run, by whomever it was proposed; a denial is final."""
    if action.effect is Effect.READ:
        return None
    for gate in gates:
        same = (gate.action.tool, gate.action.input, gate.action.ref, gate.action.target) == (
            action.tool,
            action.input,
            action.ref,
            action.target,
        )
        if gate.denied and (same or action.digest in (gate.digest, gate.proposed)):
            return gate
    return None


def able(policy: GatePolicy, requester: str, *barred: str) -> list[str]:
    """Name those who may approve, once each; none named by the policy means anybody."""
    out = [named(name) for name in (*barred, *(() if policy.requester_may_approve else (requester,)))]
    people = dict.fromkeys(map(named, (*policy.eligible, *policy.escalate_to)))
    return [name for name in people if name not in out]


def _other_action(gate: GateState, digest: str) -> str:
    if len(digest.strip()) < SHORT_DIGEST:
        return f"its digest is too short to name an action; give at least {SHORT_DIGEST} characters"
    since = " (it was edited since)" if same_digest(gate.proposed, digest) else ""
    return f"it is for the action {digest[:SHORT_DIGEST]}, but this gate is about {gate.digest[:SHORT_DIGEST]}{since}"


def _stranger(gate: GateState, decision: Decision) -> str:
    allowed: Sequence[str] = gate.may_decide
    if not allowed or named(decision.by) in map(named, allowed):
        return ""
    names = ", ".join(allowed)
    return (
        f"{decision.by} may not decide, {names} may" if decision.by else f"it does not say by whom; {names} may decide"
    )
