"""Approvals that stand for the run: which calls they cover, who must have given them, and what ends them."""

from typing import Any

import pytest

from outlast.approvals.book import GateBook
from outlast.approvals.rules import Facts
from outlast.approvals.standing.given import MOST_STANDING
from outlast.contracts import (
    Bounds,
    Decision,
    Effect,
    GateOutcome,
    GatePolicy,
    GatesCarried,
    ProposedAction,
    RecordKind,
    Risk,
    Verdict,
    breaks,
)
from tests.unit.approvals.gate_cases import START, at, no, yes

ALL = Bounds()
TAKES = ("to", "url", "amount", "note")


def call(tool: str = "pay", target: str = "", **given: Any) -> ProposedAction:
    arguments = {"to": "ann", "url": "https://bank.example/pay", "amount": 50} | given
    return ProposedAction(description="Pay", agent="clerk", tool=tool, input=arguments, target=target)


def opened(made: GateBook, action: ProposedAction, requester: str = "", repeats: bool = True, **policy: Any) -> str:
    facts = Facts(takes=TAKES, run="run-1", repeats=repeats)
    return made.open(action, GatePolicy(**policy), START, requester=requester, facts=facts).name


def given(bounds: Bounds = ALL, *by: str, **policy: Any) -> GateBook:
    """A book with an approval that stands."""
    made = GateBook()
    opened(made, call(), **policy)
    for who in by or ("Ann",):
        made.decide(yes(who, stop_asking=bounds), at(1))
    return made


def covers(made: GateBook, action: ProposedAction, requester: str = "", **policy: Any) -> bool:
    return made.cover(action, GatePolicy(**policy).within(None), (requester,), at(2)) is not None


@pytest.mark.parametrize(
    ("bounds", "other", "covered"),
    [
        (ALL, call(), True),
        (ALL, call(to="bob", amount=10**9), True),
        (ALL, call(tool="refund"), False),
        (ALL, call(target="another server"), False),
        (Bounds(same=("to",)), call(amount=99), True),
        (Bounds(same=("to",)), call(to="bob"), False),
        (Bounds(same=("amount",)), call(amount=50.0), False),
        (Bounds(same=("note",)), call(), True),
        (Bounds(same=("note",)), call(note="new"), False),
        (Bounds(at_most={"amount": 100}), call(amount=100), True),
        (Bounds(at_most={"amount": 100}), call(amount=100.01), False),
        (Bounds(at_most={"amount": 100}), call(amount=-5), False),
        (Bounds(at_most={"amount": 100}), call(amount="5"), False),
        (Bounds(at_most={"amount": 100}), call(amount=True), False),
        (Bounds(same_host=("url",)), call(url="https://BANK.example:443/other?x=1"), True),
        (Bounds(same_host=("url",)), call(url="http://bank.example/pay"), False),
        (Bounds(same_host=("url",)), call(url="https://bank.example:8443/pay"), False),
        (Bounds(same_host=("url",)), call(url="https://bank.example@evil.example/"), False),
        (Bounds(same_host=("url",)), call(url="https://evil.example\\@bank.example/"), False),
        (Bounds(same_host=("url",)), call(url="https://bank.example.evil.example/"), False),
        (Bounds(same=("to",), at_most={"amount": 100}), call(amount=101), False),
    ],
)  # fmt: skip
def test_an_approval_covers_calls_within_its_bounds(bounds: Bounds, other: ProposedAction, covered: bool) -> None:
    made = given(bounds)
    assert covers(made, other) is covered
    assert breaks(made.records) == ()
    record = made.records[-1]
    if covered:
        assert (record.kind, record.gate, record.by) == (RecordKind.COVERED, "gate-1", "Ann")
        assert record.digest == other.digest
    assert GateBook(made.carried()).standing.concerns(other) is covered


@pytest.mark.parametrize(
    ("bounds", "policy", "by", "says"),
    [
        (Bounds(same=("iban",)), {}, "Ann", "stop_asking.same: 'iban' is no argument of pay; it takes to, url"),
        (Bounds(at_most={"to": 5}), {}, "Ann", "stop_asking.at_most: 'to' is 'ann', which is not a number"),
        (Bounds(at_most={"amount": 40}), {}, "Ann", "'amount' is 50 in this call itself, more than 40"),
        (Bounds(same_host=("to",)), {}, "Ann", "stop_asking.same_host: 'to' is 'ann', which is not the address"),
        (Bounds(same_host=("note",)), {}, "Ann", "stop_asking.same_host: 'note' is None, which is not the address"),
        (ALL, {"stop_asking": False}, "Ann", "by the policy of this gate each call needs an approval of its own"),
        (ALL, {}, "", "stop_asking: it does not say by whom; send your name"),
    ],
)
def test_bad_bounds_are_refused_and_the_gate_waits_on(
    bounds: Bounds, policy: dict[str, Any], by: str, says: str
) -> None:
    made = GateBook()
    opened(made, call(), **policy)
    record = made.decide(yes(by, stop_asking=bounds), at(1))
    assert record.kind is RecordKind.REFUSED
    assert says in record.reason
    assert made.waiting
    assert made.decide(yes("Ann"), at(2)).kind is RecordKind.APPROVED
    assert not covers(made, call())


def test_a_gate_that_is_no_call_of_a_tool_stands_for_nothing() -> None:
    made = GateBook()
    opened(made, ProposedAction(description="go on?", effect=Effect.READ), repeats=False)
    assert made.decide(yes("Ann", stop_asking=ALL), at(1)).kind is RecordKind.REFUSED
    assert "leave stop_asking out" in made.records[-1].reason


def test_only_so_many_stand_at_once() -> None:
    made = GateBook()
    for number in range(MOST_STANDING + 1):
        name = opened(made, call(to=f"{number}"))
        record = made.decide(yes("Ann", gate=name, stop_asking=Bounds(same=("to",))), at(1))
    assert (record.kind, len(made.standing.approvals)) == (RecordKind.REFUSED, MOST_STANDING)
    assert "revoke one, or leave it out" in record.reason


def test_an_approval_once_covers_nothing_else() -> None:
    made = GateBook()
    opened(made, call())
    made.decide(yes("Ann"), at(1))
    assert not covers(made, call())


def test_each_of_those_who_must_approve_must_want_it_and_the_narrower_bounds_hold() -> None:
    two: dict[str, Any] = {"needed": 2}
    made = GateBook()
    opened(made, call(), **two)
    made.decide(yes("Ann", stop_asking=Bounds(at_most={"amount": 100})), at(1))
    assert made.decide(yes("Bob"), at(1)).standing == ""
    assert not covers(made, call(), **two)
    made = GateBook()
    opened(made, call(), **two)
    made.decide(yes("Ann", stop_asking=Bounds(at_most={"amount": 100}, same=("to",))), at(1))
    record = made.decide(yes("Bob", stop_asking=Bounds(at_most={"amount": 70})), at(1))
    assert record.standing == "every call of pay with to ann, amount at most 70"
    assert [covers(made, call(amount=amount), **two) for amount in (70, 71)] == [True, False]
    assert not covers(made, call(to="bob"), **two)


@pytest.mark.parametrize(
    ("policy", "requester", "signed", "covered"),
    [
        ({}, "", False, True),
        ({"needed": 2}, "", False, False),
        ({"eligible": ("Bob",)}, "", False, False),
        ({"eligible": ("ann", "Bob")}, "", False, True),
        ({}, "ann", False, False),
        ({"requester_may_approve": True}, "ann", False, True),
        ({"stop_asking": False}, "", False, False),
        ({}, "", True, False),
    ],
)
def test_it_covers_no_more_than_a_gate_that_opened_now_would_let_the_same_people_approve(
    policy: dict[str, Any], requester: str, signed: bool, covered: bool
) -> None:
    made = given()
    made.signed = signed
    assert covers(made, call(amount=7), requester, **policy) is covered


def test_who_was_asked_only_by_escalation_approves_one_call_alone() -> None:
    made = GateBook()
    opened(made, call(), eligible=("Ann",), escalate_to=("Boss",), escalate_after=1)
    assert "escalated" in made.decide(yes("Boss", stop_asking=ALL), at(5)).reason
    assert made.waiting


def test_an_edit_stands_for_nothing_unless_its_editor_may_approve_it() -> None:
    made = GateBook()
    opened(made, call())
    edited = {"to": "ann", "amount": 500}
    made.decide(yes("Ann", edit=edited, stop_asking=ALL), at(1))
    assert "whoever changes an action does not approve it" in made.records[-1].reason
    opened(made, call(to="cem"), edit_needs_another_approver=False)
    beyond = yes("Ann", gate="gate-2", edit=edited, stop_asking=Bounds(at_most={"amount": 100}))
    assert "more than 100" in made.decide(beyond, at(1)).reason
    within = yes("Ann", gate="gate-2", edit=edited, stop_asking=Bounds(at_most={"amount": 500}))
    made.decide(within, at(1))
    assert [covers(made, call(amount=amount)) for amount in (500, 501)] == [True, False]


def test_an_edit_by_another_takes_back_what_was_wanted_before_it() -> None:
    made = GateBook()
    opened(made, call(), needed=2)
    made.decide(yes("Ann", stop_asking=ALL), at(1))
    made.decide(yes("Cem", edit={"amount": 9}), at(2))
    for who in ("Ann", "Bob"):
        made.decide(yes(who), at(3))
    assert made.gates["gate-1"].outcome is GateOutcome.APPROVED
    assert not covers(made, call(), needed=2)


def test_what_waits_beside_it_within_the_bounds_need_not_be_decided_any_more() -> None:
    made = GateBook()
    for amount in (50, 60, 70):
        opened(made, call(amount=amount))
    opened(made, call(amount=65), needed=2)
    made.decide(yes("Ann", gate="gate-1", stop_asking=Bounds(at_most={"amount": 65})), at(1))
    outcomes = [made.gates[f"gate-{number}"].outcome for number in (1, 2, 3, 4)]
    assert outcomes == [GateOutcome.APPROVED] * 2 + [GateOutcome.PENDING] * 2
    assert made.records[-1].reason == "approved by Ann for this run (every call of pay with amount at most 65; gate-1)"


def test_what_was_denied_at_another_gate_is_not_approved_at_its_own_by_what_stands() -> None:
    made = GateBook()
    for amount in (50, 50, 60):
        opened(made, call(amount=amount))
    made.decide(no("Bob", gate="gate-1"), at(1))
    made.decide(yes("Ann", gate="gate-3", stop_asking=ALL), at(2))
    assert made.gates["gate-2"].outcome is GateOutcome.PENDING
    made = GateBook()
    opened(made, call())
    opened(made, call())
    made.elsewhere = {gate.digest: gate.model_copy(update={"outcome": GateOutcome.DENIED}) for gate in made.waiting}
    made.decide(yes("Ann", gate="gate-1", stop_asking=ALL), at(2))
    assert made.gates["gate-2"].outcome is GateOutcome.PENDING


def test_whoever_edited_a_call_that_waits_does_not_approve_it_at_another_gate() -> None:
    made = GateBook()
    opened(made, call())
    opened(made, call(amount=60))
    made.decide(yes("Ann", gate="gate-2", edit={"to": "eve", "amount": 7}), at(1))
    made.decide(yes("Ann", gate="gate-1", stop_asking=ALL), at(2))
    assert made.gates["gate-2"].outcome is GateOutcome.PENDING
    assert made.decide(yes("Bob", gate="gate-2"), at(3)).kind is RecordKind.APPROVED


def test_an_approval_that_comes_before_its_gate_covers_nothing_unseen() -> None:
    made = GateBook()
    made.decide(yes("Ann", stop_asking=ALL), at(0))
    name = opened(made, call().model_copy(update={"risk": Risk.LOW}))
    assert made.gates[name].pending
    assert not covers(made, call())


def revoke(by: str = "Ann", **fields: Any) -> Decision:
    return Decision(verdict=Verdict.REVOKE, by=by, **fields)


def test_it_can_be_revoked_by_whoever_may_decide_and_then_covers_nothing() -> None:
    made = given(ALL, "Ann", eligible=("Ann", "Bob"))
    assert "Eve may not revoke it, Ann, Bob may" in made.decide(revoke("Eve"), at(2)).reason
    assert "gate-7" in made.decide(revoke(gate="gate-7"), at(2)).reason
    assert made.decide(revoke("Bob", gate="gate-1", reason="too dear"), at(2)).kind is RecordKind.REVOKED
    assert (made.records[-1].by, made.records[-1].reason) == ("Bob", "too dear")
    assert not covers(made, call(), eligible=("Ann",))
    assert made.decide(revoke(), at(3)).kind is RecordKind.REFUSED
    assert breaks(made.records) == ()


def below(of: GateBook, run: str = "run/clerk-1", **carried: Any) -> GateBook:
    """The book of another run of the tree, which was told what people decided in this one."""
    made = GateBook(GatesCarried(**carried))
    made.adopt(of.standing.decided("run"), run, at(2))
    return made


def test_what_stands_in_another_run_is_held_against_this_one_and_goes_along() -> None:
    above = given(Bounds(at_most={"amount": 60}))
    made = below(above)
    made = GateBook(GatesCarried.model_validate_json(made.carried().model_dump_json()))
    assert not covers(made, call(amount=70))
    assert not covers(made, call(), needed=2)
    assert not covers(made, call(), requester="ann")
    assert not covers(made, call(), stop_asking=False)
    made.signed = True
    assert not covers(made, call()), "no token proves who gave it"
    made.signed = False
    assert covers(made, call())
    assert [(record.kind, record.gate, record.by) for record in made.records] == [
        (RecordKind.SHARED, "gate-1@run", "Ann"),
        (RecordKind.COVERED, "gate-1@run", "Ann"),
    ]
    assert breaks(made.records) == ()
    assert made.standing.decided("run/clerk-1").mark == above.standing.decided("run").mark != ""
    made.standing.alone()
    made.adopt(above.standing.decided("run"), "run/clerk-1", at(3))
    assert not covers(made, call()), "it no longer hears of others"


def test_an_end_of_an_approval_reaches_all_runs_and_nothing_brings_it_back() -> None:
    above = given()
    made, other = below(above), below(above, "run/clerk-2")
    before = above.standing.decided("run")
    assert made.decide(revoke("Bob", gate="gate-1@run"), at(3)).kind is RecordKind.REVOKED
    for book, name in ((above, "run"), (other, "run/clerk-2")):
        book.adopt(made.standing.decided("run/clerk-1"), name, at(4))
        assert (book.records[-1].kind, covers(book, call())) == (RecordKind.REVOKED, False)
    for book, name in ((made, "run/clerk-1"), (other, "run/clerk-2")):
        later = GateBook(book.carried())
        later.adopt(before, name, at(5))
        assert not covers(later, call())


def test_what_waits_elsewhere_within_the_bounds_need_not_be_decided_any_more() -> None:
    made, above = GateBook(), given(ALL, eligible=("Ann", "Bob"))
    for amount, policy in ((50, {}), (60, {"needed": 2}), (70, {"eligible": ("Bob",)})):
        opened(made, call(amount=amount), **policy)
    made.adopt(above.standing.decided("run"), "run/clerk-1", at(2))
    assert [gate.outcome for gate in made.gates.values()] == [GateOutcome.APPROVED, *[GateOutcome.PENDING] * 2]
    assert "Eve may not revoke it, Ann, Bob may" in made.decide(revoke("Eve"), at(3)).reason


def test_a_gate_that_is_settled_when_it_opens_is_not_settled_again_by_what_stands() -> None:
    made = given()
    for decision in (yes("Bob", gate="gate-2", digest=call(amount=60).digest), no("Bob", gate="gate-3")):
        made.decide(decision, at(1))
    for name, amount in (("gate-2", 60), ("gate-3", 70), ("gate-4", 80)):
        opened(made, call(amount=amount))
        made.settle_covered(made.gates[name], at(2))
    assert [(gate.outcome, gate.by) for gate in made.gates.values()][1:] == [
        (GateOutcome.APPROVED, ("Bob",)),
        (GateOutcome.DENIED, ("Bob",)),
        (GateOutcome.APPROVED, ("Ann",)),
    ]


def test_the_denial_of_another_call_takes_nothing_back() -> None:
    made = given(Bounds(at_most={"amount": 60}))
    opened(made, call(amount=70))
    made.decide(no("Bob", gate="gate-2"), at(2))
    assert covers(made, call(amount=55))
