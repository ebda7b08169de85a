"""All gates of one run and every decision on them, without a clock and without Temporal: time is passed in.

A decision may come early, twice, late, for another action, or from somebody who may not decide; each becomes one record, and each
gate ends in one outcome. One that names no gate never reaches a gate that opens after another was settled.
"""

from datetime import datetime
from typing import Any

from outlast.approvals.book.covering import Covering
from outlast.approvals.deadlines import due
from outlast.approvals.rules import (
    NO_FACTS,
    Check,
    Describe,
    Facts,
    as_edited,
    bared,
    in_words,
    new_gate,
    not_taken,
    objection,
    objection_to_edit,
    verdict_of_gate,
)
from outlast.approvals.standing.bounds import objection_to_bounds
from outlast.contracts import (
    SHORT_DIGEST,
    SUMMARY_LENGTH,
    Approver,
    Decided,
    Decision,
    GateOutcome,
    GatePolicy,
    GateRecord,
    GatesCarried,
    GateState,
    ProposedAction,
    RecordKind,
    Verdict,
    named,
    shown,
)

EARLY_KEPT, RECORDS_CARRIED, SETTLED_CARRIED = 50, 300, 100
SOMEBODY = "somebody"


class GateBook(Covering):
    """The gates of one run by name, in the order in which they were opened, and the log of all that happened to them."""

    def __init__(self, carried: GatesCarried | None = None) -> None:
        carried = carried or GatesCarried()
        super().__init__(carried)
        self.gates: dict[str, GateState] = {gate.name: gate for gate in carried.gates}
        self.early: list[Decision] = list(carried.early)
        self.opened = carried.opened
        self.elsewhere: dict[str, GateState] = {}  # denied in runs that belong together with this one
        self.why = ""  # in full why the last message changed nothing; records cut it
        self._reserved: dict[str, None] = {}
        self._checks: dict[str, Check] = {}
        self._describe: dict[str, Describe] = {}
        self._orphans = [gate.name for gate in carried.gates if not gate.claimed]

    @property
    def waiting(self) -> list[GateState]:
        """The gates that people can still decide, oldest first."""
        return [gate for gate in self.gates.values() if gate.pending]

    def carried(self) -> GatesCarried:
        """Return all that a later run goes on with; of the gates that are done with only as much as tells a late decision."""
        kept = [gate for gate in self.gates.values() if not gate.claimed]
        over = [gate for gate in self.gates.values() if gate.claimed]
        done = [bared(one) for at, one in enumerate(over, SETTLED_CARRIED - len(over)) if at >= 0 or one.denied]
        log = self._newest(RECORDS_CARRIED)
        early, given = tuple(self.early), self.standing
        standing = {"standing": tuple(given.approvals.values()), "revoked": tuple(given.revoked)}
        return GatesCarried(gates=(*done, *kept), early=early, opened=self.opened, log=log, **standing)

    def open(
        self,
        action: ProposedAction,
        policy: GatePolicy,
        now: datetime,
        *,
        requester: str = "",
        name: str = "",
        check: Check | None = None,
        describe: Describe | None = None,
        facts: Facts = NO_FACTS,
    ) -> GateState:
        """Open a gate, or go on with the one that an earlier part of this run left open for the same action.

        `describe` says an edited action in words. Raises ValueError where nobody could approve it, or its name is taken.
        """
        digest = action.digest
        name = name or self.reserve(digest)
        if name not in self.gates or name in self._orphans:
            self._checks |= {name: check} if check is not None else {}
            self._describe |= {name: describe} if describe is not None else {}
        if name in self.gates:
            return self._taken_up(name, digest, facts.of(action))
        self.gates[name] = new_gate(name, action, policy, now, requester, facts)
        self.opened += 1
        self._record(now, RecordKind.OPENED, name, by=requester, reason=in_words(action))
        mine = [each for each in self.early if each.gate == name or (self.opened == 1 and not each.gate)]
        self.early = [each for each in self.early if each not in mine]
        for decision in mine:
            self._weigh(name, decision, now, early=True)
        return self.gates[name]

    def reserve(self, digest: str) -> str:
        """Name the gate that was left open for an action, or a new one; each name is given once."""
        left = [name for name in self._orphans if self.gates[name].proposed == digest and name not in self._reserved]
        number = self.opened + 1
        while f"gate-{number}" in self.gates or f"gate-{number}" in self._reserved:
            number += 1
        name = left[0] if left else f"gate-{number}"
        self._reserved[name] = None
        return name

    def decide(self, decision: Decision, now: datetime) -> GateRecord:
        """Take a decision and return its record, which says what came of it."""
        self.tick(now)
        if decision.verdict is Verdict.REVOKE:
            return self._revoke(decision, now)
        name, waiting = decision.gate, self.waiting
        if not name and len(waiting) > 1:
            names = ", ".join(gate.name for gate in waiting)
            return self._nothing(decision, now, RecordKind.REFUSED, f"{len(waiting)} gates wait, name one: {names}")
        if not name and self.gates:
            name = waiting[0].name if waiting else list(self.gates)[-1]
        if name in self.gates:
            return self._weigh(name, decision, now)
        if len(self.early) >= EARLY_KEPT:
            return self._nothing(decision, now, RecordKind.REFUSED, f"{EARLY_KEPT} early decisions are kept already")
        self.early.append(decision)
        why = f"kept until gate {name!r} opens" if name else "kept until the first gate opens"
        return self._nothing(decision, now, RecordKind.EARLY, why)

    def unreadable(self, why: str, now: datetime, channel: str = "") -> GateRecord:
        """Record a message that could not be understood."""
        self.why = why
        self.tick(now)
        return self._record(now, RecordKind.UNREADABLE, channel=channel, reason=why, message=True)

    def refuse(self, decision: Decision, why: str, now: datetime, *, message: bool = True) -> GateRecord:
        """Record a decision that was not let in; an early one (no `message`) was recorded when it came."""
        self.tick(now)
        return self._nothing(decision, now, RecordKind.REFUSED, why, message=message)

    def adopt(self, decided: Decided, run: str, now: datetime) -> bool:
        """Do so, and let what is covered now wait no longer."""
        self.tick(now)
        more = super().adopt(decided, run, now)
        for gate in self.waiting if more else ():
            self.settle_covered(gate, now)
        return more

    def tick(self, now: datetime) -> None:
        """Do all that is due by now: end the time of gates, escalate, remind."""
        for name in list(self.gates):
            while event := due(self.gates[name], now):
                self._change(name, **event.changes)
                self._record(now, event.kind, name, reason=event.reason)

    def cancel(self, name: str, now: datetime) -> None:
        """Close a gate that nobody waits for any more; changes nothing where it is settled."""
        if self.gates[name].pending:
            self._settle(name, now, RecordKind.CANCELLED, reason="the run was cancelled while the gate was open")

    def claim(self, name: str) -> GateState:
        """Take a settled gate's outcome, once: a second action needs a gate of its own."""
        self._change(name, claimed=True)
        return self.gates[name]

    def _taken_up(self, name: str, digest: str, facts: dict[str, Any]) -> GateState:
        if name not in self._orphans or self.gates[name].proposed != digest:
            raise ValueError(f"name: there is a gate {name!r} already in this run; give each action a gate of its own")
        self._orphans.remove(name)
        edited = self.gates[name].digest != digest
        return self._change(name, **{key: fact for key, fact in facts.items() if not (edited and key == "shown")})

    def _weigh(self, name: str, decision: Decision, now: datetime, *, early: bool = False) -> GateRecord:
        """Hold a decision against its gate; an early one was recorded as a message when it came."""
        gate, fresh = self.gates[name], not early
        who = named(decision.by)
        if not gate.pending:
            again = bool(who) and who in map(named, gate.by) and decision.verdict is verdict_of_gate(gate)
            kind = RecordKind.DUPLICATE if again else RecordKind.LATE
            return self._nothing(decision, now, kind, f"the gate was {gate.outcome} already", name, message=fresh)
        if why := objection(gate, decision, early=early):
            return self._nothing(decision, now, RecordKind.REFUSED, why, name, message=fresh)
        if who and who in [named(each.by) for each in gate.approvers]:
            why = f"{decision.by} has decided already, and the first decision counts"
            return self._nothing(decision, now, RecordKind.DUPLICATE, why, name, message=fresh)
        if decision.verdict is Verdict.DENY:
            return self._settle(name, now, RecordKind.DENIED, decision, by=(decision.by or SOMEBODY,), message=fresh)
        edit = {} if decision.edit is None else {"input": decision.edit, "ref": None}
        edited = gate.action.model_copy(update=edit)
        if why := self.standing.full(decision) or objection_to_bounds(gate, edited, decision):
            return self._nothing(decision, now, RecordKind.REFUSED, why, name, message=fresh)
        if edited.digest != gate.digest:
            return self._edit(gate, edited, decision, now, message=fresh)
        return self._count(name, decision, now, message=fresh)

    def _edit(
        self, gate: GateState, edited: ProposedAction, decision: Decision, now: datetime, *, message: bool
    ) -> GateRecord:
        """Change the action; everybody decides anew, because nobody has seen this one."""
        check = self._checks.get(gate.name)
        why = objection_to_edit(gate, decision) or "; ".join(check(edited) if check else ())
        if why := why or not_taken(gate, decision):
            return self._nothing(decision, now, RecordKind.REFUSED, why, gate.name, message=message)
        words = self._describe.get(gate.name, as_edited)(edited)[:SUMMARY_LENGTH]
        edited = edited.model_copy(update={"description": words})
        update = {"action": edited, "digest": edited.digest, "shown": shown(edited.input)}
        self._change(gate.name, **update, approvers=(), editor=decision.by)
        was = f"was {gate.digest[:SHORT_DIGEST]}; {decision.reason}".rstrip("; ")
        record = self._record(now, RecordKind.EDITED, gate.name, decision, reason=was, message=message)
        if not gate.policy.edit_needs_another_approver:
            self._count(gate.name, decision, now, message=False)
        return record

    def _count(self, name: str, decision: Decision, now: datetime, *, message: bool) -> GateRecord:
        yes = Approver(
            by=decision.by or SOMEBODY,
            when=now,
            reason=decision.reason,
            stop_asking=decision.stop_asking,
            verified=decision.verified,
        )
        gate = self._change(name, approvers=(*self.gates[name].approvers, yes))
        if len(gate.approvers) < gate.needed:
            return self._record(now, RecordKind.COUNTED, name, decision, reason=decision.reason, message=message)
        by = tuple(each.by for each in gate.approvers)
        given = self.standing.add(gate)
        words = given.words if given is not None else ""
        record = self._settle(name, now, RecordKind.APPROVED, decision, by=by, message=message, standing=words)
        for other in self.waiting if given is not None else ():
            # What people need not be asked any more is not left waiting for them.
            self.settle_covered(other, now)
        return record

    def settle_covered(self, gate: GateState, now: datetime) -> None:
        """Settle a gate that waits for what an approval covers which stands by now; whoever edited it does not count."""
        denied = (*self.elsewhere.values(), *self.gates.values())
        if gate.pending and (given := self.standing.settling(gate, denied, signed=self.signed)) is not None:
            self.standing.count(given)
            reason = given.description[:SUMMARY_LENGTH]
            self._change(gate.name, standing=reason)
            self._settle(gate.name, now, RecordKind.APPROVED, by=given.by, reason=reason)

    def _revoke(self, decision: Decision, now: datetime) -> GateRecord:
        given = self.standing.revoke(decision)
        if isinstance(given, str):
            return self._nothing(decision, now, RecordKind.REFUSED, given)
        why = decision.reason or given.words
        return self._record(
            now, RecordKind.REVOKED, given.name, decision, digest=given.digest, reason=why, message=True
        )

    def _settle(
        self,
        name: str,
        now: datetime,
        kind: RecordKind,
        decision: Decision | None = None,
        *,
        by: tuple[str, ...] = (),
        reason: str = "",
        **fields: Any,
    ) -> GateRecord:
        reason = decision.reason if decision else reason
        fields |= {} if decision else {"by": ", ".join(by)}
        self._change(name, outcome=GateOutcome(kind.value), settled=now, by=by, reason=reason)
        return self._record(now, kind, name, decision, reason=reason, **fields)

    def _nothing(
        self, decision: Decision, now: datetime, kind: RecordKind, why: str, name: str = "", *, message: bool = True
    ) -> GateRecord:
        """Record a decision that changes nothing, with the digest that it named."""
        self.why = why
        digest = decision.digest[:64]
        return self._record(now, kind, name or decision.gate, decision, digest=digest, reason=why, message=message)

    def _change(self, name: str, **update: Any) -> GateState:
        self.gates[name] = self.gates[name].model_copy(update=update)
        return self.gates[name]

    def _record(
        self, now: datetime, kind: RecordKind, name: str = "", decision: Decision | None = None, **fields: Any
    ) -> GateRecord:
        if not fields.get("digest") and name in self.gates:
            fields["digest"] = self.gates[name].digest
        return super()._record(now, kind, name, decision, **fields)
