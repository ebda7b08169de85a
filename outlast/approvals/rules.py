"""Whether a decision counts at a gate: who may decide, on what, and whether anybody is left who may.

Each function says in words why not, or nothing. A name is what the sender claims. These rules keep honest people from
mistakes; who may send to a run at all is for the server's authorisation.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outlast.approvals.deadlines import deadline_of
from outlast.contracts import (
    NOT_BY_REQUESTER,
    SHORT_DIGEST,
    SUMMARY_LENGTH,
    ArgumentsShown,
    Decision,
    Effect,
    GateOutcome,
    GatePolicy,
    GateState,
    Produced,
    ProposedAction,
    Risk,
    Verdict,
    named,
    same_digest,
    shown,
)

Check = Callable[[ProposedAction], Sequence[str]]
"""Lists everything that is wrong with an edited action."""
Describe = Callable[[ProposedAction], str]
"""Describes an edited action in words."""


@dataclass(frozen=True)
class Facts:
    """What is known where a gate opens: `takes` names the arguments that an edit may give (None: those that the action has).

    `arguments` is what is shown of those that the action only refers to, `run` the run id that the gate opens under, and
    `after_reset` says that this run was reset before. `repeats` says that the action is a call of a tool, which may come again,
    and `before` what the steps before it produced. `asked_by` are those who asked for it beside the requester of the run.
    """

    takes: Collection[str] | None = None
    arguments: ArgumentsShown | None = None
    run: str = ""
    after_reset: bool = False
    policy: GatePolicy | None = None
    repeats: bool = False
    before: tuple[Produced, ...] = ()
    asked_by: tuple[str, ...] = ()

    def of(self, action: ProposedAction) -> dict[str, Any]:
        """Return them as fields of the state of a gate."""
        unread = ArgumentsShown(text=f"kept as {action.ref}; they could not be read", whole=False)
        return {
            "shown": shown(action.input) if action.ref is None else self.arguments or unread,
            "takes": tuple(action.input if self.takes is None else self.takes),
            "run": self.run,
            "after_reset": self.after_reset,
            "repeats": self.repeats,
            "before": self.before,
            "asked_by": self.asked_by,
        }


NO_FACTS = Facts()


def new_gate(
    name: str, action: ProposedAction, policy: GatePolicy, now: datetime, requester: str, facts: Facts
) -> GateState:
    """Make the state of a gate that opens now; raises ValueError where too few people may approve at it."""
    policy = policy.within(_said_of(action, facts.policy))
    needed = policy.needed or 1
    left = len(able(policy, (requester, *facts.asked_by)))
    if policy.eligible and left < needed:
        raise ValueError(f"policy.needed: {needed} must approve, but of those named only {left} may")
    return GateState(
        name=name,
        action=action,
        proposed=action.digest,
        digest=action.digest,
        policy=policy,
        opened=now,
        deadline=deadline_of(policy, action, now),
        requester=requester,
        **facts.of(action),
    )


def _said_of(action: ProposedAction, deployment: GatePolicy | None) -> GatePolicy | None:
    """Return what the deployment says of an action; at a checkpoint, which changes nothing outside the run, not who is barred."""
    if deployment is None or action.tool or action.effect is not Effect.READ:
        return deployment
    return deployment.model_copy(update={"requester_may_approve": None, "edit_needs_another_approver": None})


def bared(gate: GateState) -> GateState:
    """Return a gate that is done with without its arguments: enough to tell a late decision.

    A denied action keeps them: by its arguments it is known again, whoever proposes it.
    """
    action = gate.action if gate.denied else gate.action.model_copy(update={"input": {}})
    return gate.model_copy(update={"action": action, "shown": ArgumentsShown(), "takes": (), "before": ()})


def names_for(gates: Mapping[str, GateState], policy: GatePolicy, implied: Verdict | None) -> tuple[str, ...]:
    """Name those whom a plain text may name: the listed people of what waits; a denial also whoever asked for it."""
    asked_of = [gate for gate in gates.values() if gate.pending] or list(gates.values())[-1:]
    listed = [name for gate in asked_of for name in gate.listed] if asked_of else list(policy.eligible)
    asked = [name for gate in asked_of for name in gate.askers] if implied is Verdict.DENY and listed else []
    return (*listed, *asked)


def objection(gate: GateState, decision: Decision, *, early: bool) -> str:
    """Return why a decision does not count at this gate, if it does not."""
    if decision.digest and not same_digest(gate.digest, decision.digest):
        return _other_action(gate, decision.digest)
    if decision.verdict is Verdict.DENY:
        return objection_to_denial(gate, decision)
    if why := _unseen(gate, decision, early):
        return why
    who, policy = named(decision.by), gate.policy
    barred = [] if policy.requester_may_approve else [named(name) for name in gate.askers]
    if not who and (gate.may_decide or gate.needed > 1 or barred or gate.editor):
        return "it does not say by whom; send your name"
    if who in barred:
        return f"{decision.by} {NOT_BY_REQUESTER}"
    if policy.edit_needs_another_approver and gate.editor and who == named(gate.editor):
        return f"{decision.by} changed this action, and another must approve it"
    return _stranger(gate, decision)


def objection_to_denial(gate: GateState, decision: Decision) -> str:
    """Return why somebody may not deny; whoever asked for an action may always deny it."""
    if named(decision.by) in [named(name) for name in gate.askers]:
        return ""
    return _stranger(gate, decision)


def objection_to_edit(gate: GateState, decision: Decision) -> str:
    """Return why an edit may not be made: nobody could approve what it makes."""
    policy = gate.policy
    if not policy.edit_needs_another_approver:
        return ""
    if not named(decision.by):
        return "an edit needs the name of who made it, because another must approve it"
    left = len(able(policy, gate.askers, decision.by))
    if policy.eligible and left < gate.needed:
        return f"{gate.needed} others must approve an edit, and only {left} could; deny it instead"
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


def not_taken(gate: GateState, decision: Decision) -> str:
    """Return which arguments of an edit nothing takes."""
    unknown = [name for name in decision.edit or {} if gate.takes and name not in gate.takes]
    names = ", ".join(repr(name)[:40] for name in unknown[:5])
    return f"edit: nothing takes {names}; this action takes {', '.join(gate.takes)}" if unknown else ""


def able(policy: GatePolicy, asked_by: tuple[str, ...], *barred: str) -> list[str]:
    """Name those who may approve, once each; none named by the policy means anybody."""
    out = [named(name) for name in (*barred, *(() if policy.requester_may_approve else asked_by))]
    people = dict.fromkeys(map(named, (*policy.eligible, *policy.escalate_to)))
    return [name for name in people if name not in out]


def verdict_of_gate(gate: GateState) -> Verdict | None:
    """Return the verdict by which a gate was settled, if it was."""
    return {GateOutcome.APPROVED: Verdict.APPROVE, GateOutcome.DENIED: Verdict.DENY}.get(gate.outcome)


def in_words(action: ProposedAction) -> str:
    """Describe an action in one line, for the log: its purpose, tool and agent."""
    where = f" on {action.target}" if action.target else ""
    call = f" [{action.agent or 'the run'} · {action.tool}{where} · {action.risk} risk]"[:120] if action.tool else ""
    return f"{' '.join(action.description.split())[: SUMMARY_LENGTH - len(call)]}{call}"


def as_edited(action: ProposedAction) -> str:
    """Describe an edited action by its arguments alone: its old description may name what was changed."""
    given = ", ".join(f"{name}={' '.join(str(value).split())[:60]}" for name, value in action.input.items())
    what = f"{action.agent or 'the run'} · {action.tool}({given})" if action.tool else given
    return f"as edited: {what}"[:SUMMARY_LENGTH]


def _unseen(gate: GateState, decision: Decision, early: bool) -> str:
    """Return why an approval that names no digest is one of something that its sender has not seen, if it is."""
    name = f'send {{"gate": "{gate.name}", "digest": "{gate.digest[:SHORT_DIGEST]}"}} with it'
    if early and gate.after_reset:
        return f"given before this run was reset; look at the action again, and {name}"
    if decision.digest:
        return ""
    if early and gate.action.risk is not Risk.LOW:
        return f"given before the action was known, and its risk is {gate.action.risk}; look at it, and {name}"
    if early and decision.stop_asking is not None:
        return f"given before the action was known, and it is for further calls as well; look at it, and {name}"
    if not gate.shown.whole:
        return f"its arguments ({gate.shown.size:,} bytes) were not shown in full; look at all of them, and {name}"
    return ""


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
