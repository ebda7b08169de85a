"""Random interleavings of everything that can happen to gates end as a simple model of the rules says they must.

The model keeps, for each gate, the people who said yes; it knows nothing of records, receipts or carrying over. Both are told
the same, and after each step every gate has the same outcome in both, settled gates never change, and the chain holds.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outlast.approvals.book import GateBook
from outlast.contracts import (
    Decision,
    GateOutcome,
    GatePolicy,
    GatesCarried,
    OnTimeout,
    ProposedAction,
    RecordKind,
    Risk,
    Verdict,
    breaks,
)
from tests.unit.approvals.gate_cases import action, at

PEOPLE = ("Ann", "Bob", "Cem", "Boss", "")
AMOUNTS = (0, 1)
MOST = 3


@dataclass
class Model:
    """One gate, as plainly as it can be said."""

    policy: GatePolicy
    requester: str
    risk: Risk
    amount: int
    deadline: float
    opened: float
    yes: list[str] = field(default_factory=list)
    editor: str | None = None
    escalated: bool = False
    extended: bool = False
    outcome: str = "pending"

    def pass_time(self, now: float) -> None:
        if self.outcome != "pending":
            return
        after = self.policy.escalate_after
        if after is not None and self.opened + after <= now and self.opened + after < self.deadline:
            self.escalated = True
        if now < self.deadline:
            return
        if self.policy.on_timeout is OnTimeout.ESCALATE and not self.extended:
            self.escalated = self.extended = True
            self.deadline = now + self.policy.seconds(self.risk)
            return
        self.outcome = "halted" if self.policy.on_timeout is OnTimeout.HALT else "timed out"

    def hear(self, verdict: Verdict, by: str, amount: int | None, edit: int | None, *, early: bool = False) -> None:
        if self.outcome != "pending" or (amount is not None and amount != self.amount):
            return
        policy, needed = self.policy, self.policy.needed or 1
        people = policy.eligible + (policy.escalate_to if self.escalated else ())
        if policy.eligible and by not in people and not (verdict is Verdict.DENY and by and by == self.requester):
            return
        if by in self.yes and by:
            return
        if verdict is Verdict.DENY:
            self.outcome = "denied"
            return
        if early and self.risk is not Risk.LOW and amount is None:
            return
        must_be_known = needed > 1 or bool(self.requester) or bool(self.editor)
        if by == self.requester != "" or (not by and must_be_known) or (self.editor and by == self.editor):
            return
        if edit is not None and edit != self.amount:
            left = {*policy.eligible, *policy.escalate_to} - {by, self.requester}
            if not by or (policy.eligible and len(left) < needed):
                return
            self.amount, self.yes, self.editor = edit, [], by
            return
        self.yes.append(by)
        if len(self.yes) >= needed:
            self.outcome = "approved"


POLICIES = st.builds(
    GatePolicy,
    needed=st.sampled_from([1, 2, 2]),
    eligible=st.sampled_from([(), ("Ann", "Bob", "Cem")]),
    deadline=st.sampled_from([20.0, 100.0]),
    escalate_after=st.sampled_from([None, 5.0]),
    escalate_to=st.just(("Boss",)),
    remind_every=st.sampled_from([None, 3.0]),
    on_timeout=st.sampled_from(OnTimeout),
)


def proposed(amount: int, number: int, risk: Risk = Risk.MEDIUM) -> ProposedAction:
    """Each gate is for another account, so that one that is carried over is never taken for a new one."""
    return action(amount, risk).model_copy(update={"target": f"account {number}"})


class Gates(RuleBasedStateMachine):
    """Plays the run, the people and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.book = GateBook()
        self.models: dict[str, Model] = {}
        self.early: list[tuple[str, tuple[Any, ...]]] = []
        self.now = 0.0
        self.messages = 0
        self.ended: dict[str, GateOutcome] = {}

    @precondition(lambda self: len(self.models) < MOST)
    @rule(
        policy=POLICIES,
        requester=st.sampled_from(["", "Ann"]),
        risk=st.sampled_from(Risk),
        amount=st.sampled_from(AMOUNTS),
    )
    def open(self, policy: GatePolicy, requester: str, risk: Risk, amount: int) -> None:
        number = len(self.models) + 1
        gate = self.book.open(proposed(amount, number, risk), policy, at(self.now), requester=requester)
        assert gate.name == f"gate-{number}"
        model = Model(policy, requester, risk, amount, self.now + policy.seconds(risk), self.now)
        self.models[gate.name] = model
        mine = [said for name, said in self.early if name in (gate.name, "")]
        self.early = [each for each in self.early if each[0] not in (gate.name, "")]
        for said in mine:
            model.hear(*said, early=True)

    @rule(
        verdict=st.sampled_from((Verdict.APPROVE, Verdict.APPROVE, Verdict.APPROVE, Verdict.DENY)),
        by=st.sampled_from(PEOPLE),
        number=st.sampled_from((0, 0, 1, 2, MOST)),
        amount=st.sampled_from((None, None, None, *AMOUNTS)),
        edit=st.sampled_from((None, None, *AMOUNTS)),
    )
    def decide_somehow(self, verdict: Verdict, by: str, number: int, amount: int | None, edit: int | None) -> None:
        self.decide(verdict, by, number, amount, edit)

    def decide(self, verdict: Verdict, by: str, number: int, amount: int | None, edit: int | None) -> None:
        """Tell both; `number` is that of the gate that is named (0: none)."""
        self.pass_time()
        self.messages += 1
        waiting = [name for name, model in self.models.items() if model.outcome == "pending"]
        gate = f"gate-{number}" if number else ""
        meant = gate or (waiting[0] if waiting else "gate-1")
        digest = "" if amount is None else proposed(amount, int(meant.removeprefix("gate-"))).digest
        edit = None if verdict is Verdict.DENY else edit
        arguments = None if edit is None else {"amount": edit}
        self.book.decide(Decision(verdict=verdict, by=by, gate=gate, digest=digest, edit=arguments), at(self.now))
        if not gate and len(waiting) > 1:
            return
        if meant in self.models and (gate or waiting):
            self.models[meant].hear(verdict, by, amount, edit)
        elif gate or not self.models:
            self.early.append((gate, (verdict, by, amount, edit)))

    @precondition(lambda self: self.models)
    @rule(by=st.sampled_from(PEOPLE), edit=st.sampled_from((None, *AMOUNTS)))
    def agree_to_what_waits(self, by: str, edit: int | None) -> None:
        """Most people are asked and answer; by chance alone too few yeses would meet."""
        self.decide(Verdict.APPROVE, by, self.waiting_one(), None, edit)

    @precondition(lambda self: self.models)
    @rule(by=st.sampled_from(PEOPLE))
    def agree_once_more(self, by: str) -> None:
        self.decide(Verdict.APPROVE, by, self.waiting_one(), None, None)

    def waiting_one(self) -> int:
        waiting = [number for number, model in enumerate(self.models.values(), 1) if model.outcome == "pending"]
        return waiting[0] if waiting else 1

    @rule()
    def junk(self) -> None:
        self.messages += 1
        self.book.unreadable("junk", at(self.now))
        self.pass_time()

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.book.tick(at(self.now))
        self.pass_time()

    @rule(number=st.integers(1, MOST))
    def cancel(self, number: int) -> None:
        name = f"gate-{number}"
        if name in self.models:
            self.book.cancel(name, at(self.now))
            if self.models[name].outcome == "pending":
                self.models[name].outcome = "cancelled"

    @rule()
    def carry_over(self) -> None:
        for name in self.ended:
            self.book.claim(name)
        self.book = GateBook(GatesCarried.model_validate_json(self.book.carried().model_dump_json()))

    def pass_time(self) -> None:
        for model in self.models.values():
            model.pass_time(self.now)

    @invariant()
    def outcomes_are_those_of_the_model(self) -> None:
        assert {name: str(gate.outcome) for name, gate in self.book.gates.items()} == {
            name: model.outcome for name, model in self.models.items()
        }
        for gate in self.book.waiting:
            assert gate.action.input["amount"] == self.models[gate.name].amount

    @invariant()
    def a_settled_gate_never_changes_and_is_settled_once(self) -> None:
        for name, outcome in self.ended.items():
            assert self.book.gates[name].outcome is outcome
        self.ended = {name: gate.outcome for name, gate in self.book.gates.items() if not gate.pending}
        for name in self.book.gates:
            last = [record for record in self.book.records if record.gate == name and record.kind in SETTLING]
            assert len(last) == (name in self.ended)

    def teardown(self) -> None:
        """The chain holds and knows every message; looked at once, because each look computes all hashes."""
        assert breaks(self.book.records) == ()
        assert sum(record.message for record in self.book.records) == self.messages


SETTLING = (
    RecordKind.APPROVED,
    RecordKind.DENIED,
    RecordKind.TIMED_OUT,
    RecordKind.HALTED,
    RecordKind.CANCELLED,
)

TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=500, stateful_step_count=25, deadline=None)
