"""Gates without Temporal: who may decide, in which order, until when, on what; every message becomes one record."""

from typing import Any

import pytest
from pydantic import ValidationError

from outlast.approvals.book import EARLY_KEPT, RECORDS_CARRIED, GateBook
from outlast.approvals.deadlines import next_due
from outlast.contracts import (
    NOISE_KEPT,
    Decision,
    GateOutcome,
    GatePolicy,
    GatesCarried,
    OnTimeout,
    RecordKind,
    Risk,
    breaks,
)
from tests.unit.approvals.gate_cases import START, action, at, book, no, yes

APPROVED, DENIED, PENDING = GateOutcome.APPROVED, GateOutcome.DENIED, GateOutcome.PENDING
TWO: dict[str, Any] = {"needed": 2, "eligible": ("Ann", "Bob", "Cem")}


def kinds(made: GateBook) -> list[str]:
    return [str(record.kind) for record in made.records]


@pytest.mark.parametrize(
    ("policy", "decisions", "outcome", "came_of_it"),
    [
        ({}, [yes()], APPROVED, ["approved"]),
        ({}, [yes("Ann"), no("Bob")], APPROVED, ["approved", "late"]),
        ({}, [no("Bob"), yes("Ann")], DENIED, ["denied", "late"]),
        ({}, [yes("Ann"), yes("ann ")], APPROVED, ["approved", "duplicate"]),
        ({}, [yes("Ann"), no("Ann")], APPROVED, ["approved", "late"]),
        ({}, [no(), no()], DENIED, ["denied", "late"]),
        (TWO, [yes("Ann")], PENDING, ["counted"]),
        (TWO, [yes("Ann"), yes("ANN")], PENDING, ["counted", "duplicate"]),
        (TWO, [yes("Ann"), no("ann")], PENDING, ["counted", "duplicate"]),
        (TWO, [yes("Ann"), yes("Bob")], APPROVED, ["counted", "approved"]),
        (TWO, [yes("Ann"), no("Cem"), yes("Bob")], DENIED, ["counted", "denied", "late"]),
        (TWO, [yes("Eve"), yes()], PENDING, ["refused", "refused"]),
        (TWO, [no("Eve"), no()], PENDING, ["refused", "refused"]),
        ({"needed": 2}, [yes(), yes("Ann"), yes("Bob")], APPROVED, ["refused", "counted", "approved"]),
        ({}, [yes(gate="gate-1")], APPROVED, ["approved"]),
        ({}, [yes(gate="gate-2")], PENDING, ["early"]),
        ({}, [yes(digest=action().digest)], APPROVED, ["approved"]),
        ({}, [yes(digest=action().digest[:12].upper() + "…")], APPROVED, ["approved"]),
        ({}, [yes(digest=action(6).digest)], PENDING, ["refused"]),
        ({}, [no(digest=action(6).digest)], PENDING, ["refused"]),
        ({}, [yes(digest=action().digest[:11])], PENDING, ["refused"]),
    ],
)
def test_the_first_decision_that_settles_the_policy_wins(
    policy: dict[str, Any], decisions: list[Decision], outcome: GateOutcome, came_of_it: list[str]
) -> None:
    made = book(**policy)
    records = [made.decide(decision, at(1)) for decision in decisions]
    assert [str(record.kind) for record in records] == came_of_it
    assert made.gates["gate-1"].outcome is outcome
    assert kinds(made) == ["opened", *came_of_it]


def test_whoever_asked_may_not_approve_but_may_take_it_back() -> None:
    made = book(requester="Ann", eligible=("Ann", "Bob"))
    assert made.decide(yes("ann"), START).kind is RecordKind.REFUSED
    assert "asked for this action" in made.records[-1].reason
    assert made.decide(no("ANN"), START).kind is RecordKind.DENIED
    stranger = book(requester="Zoe", eligible=("Ann",))
    assert stranger.decide(no("Zoe"), START).kind is RecordKind.DENIED


def test_with_a_requester_somebody_without_a_name_may_not_approve() -> None:
    made = book(requester="Ann")
    assert made.decide(yes(), START).kind is RecordKind.REFUSED
    assert made.decide(yes("Bob"), START).kind is RecordKind.APPROVED
    assert book(requester="Ann", requester_may_approve=True).decide(yes(), START).kind is RecordKind.APPROVED


@pytest.mark.parametrize("early", [[yes()], [yes(gate="gate-1")], [no(), yes()], [yes("Ann"), no("Bob")]])
def test_decisions_that_come_before_their_gate_are_kept_in_order(early: list[Decision]) -> None:
    made = GateBook()
    for decision in early:
        assert made.decide(decision, START).kind is RecordKind.EARLY
    made.open(action(risk=Risk.LOW), GatePolicy(), at(5))
    assert made.gates["gate-1"].outcome is (DENIED if early[0].verdict == "deny" else APPROVED)
    assert made.early == []


def test_an_early_decision_without_a_gate_never_reaches_a_later_gate() -> None:
    made = book()
    made.decide(yes("Ann"), START)
    assert made.decide(yes("Bob"), START).kind is RecordKind.LATE
    made.open(action(6), GatePolicy(), START)
    assert made.gates["gate-2"].outcome is PENDING


def test_early_decisions_are_bounded() -> None:
    made = GateBook()
    records = [made.decide(yes(str(n), gate="later"), START) for n in range(EARLY_KEPT + 1)]
    assert [str(records[-2].kind), str(records[-1].kind)] == ["early", "refused"]


def test_with_several_gates_a_decision_must_name_one() -> None:
    made = book()
    made.open(action(6), GatePolicy(), START, name="other")
    refused = made.decide(yes("Ann"), START)
    assert (refused.kind, refused.reason) == (RecordKind.REFUSED, "2 gates wait, name one: gate-1, other")
    assert made.decide(yes("Ann", gate="other"), START).kind is RecordKind.APPROVED
    assert made.decide(yes("Ann"), START).gate == "gate-1"


@pytest.mark.parametrize(("seconds", "kind"), [(299.999, "approved"), (300, "late"), (1e6, "late")])
def test_the_deadline_holds_to_the_moment(seconds: float, kind: str) -> None:
    made = book()
    assert str(made.decide(yes("Ann"), at(seconds)).kind) == kind
    assert made.gates["gate-1"].outcome is (APPROVED if kind == "approved" else GateOutcome.TIMED_OUT)


def test_deadlines_go_by_risk() -> None:
    made = book(risk=Risk.HIGH, deadline=10, deadlines={Risk.HIGH: 3600})
    made.tick(at(3599))
    assert made.waiting
    made.tick(at(3600))
    assert not made.waiting


def test_a_policy_may_halt_the_run() -> None:
    made = book(on_timeout=OnTimeout.HALT)
    made.tick(at(300))
    assert made.gates["gate-1"].outcome is GateOutcome.HALTED


def test_a_gate_that_ends_unheard_goes_to_others_once_and_is_denied_then() -> None:
    made = book(eligible=("Ann",), on_timeout=OnTimeout.ESCALATE, escalate_to=("Boss",))
    assert made.decide(yes("Boss"), at(299)).kind is RecordKind.REFUSED
    made.tick(at(300))
    assert (kinds(made)[-1], made.gates["gate-1"].deadline) == ("escalated", at(600))
    made.tick(at(600))
    assert made.gates["gate-1"].outcome is GateOutcome.TIMED_OUT
    heard = book(eligible=("Ann",), on_timeout=OnTimeout.ESCALATE, escalate_to=("Boss",))
    assert heard.decide(yes("Boss"), at(301)).kind is RecordKind.APPROVED


def test_reminders_and_escalation_come_before_the_deadline_and_missed_ones_once() -> None:
    made = book(remind_every=60, escalate_after=100, escalate_to=("Boss",))
    for second in range(300):
        made.tick(at(second))
    assert kinds(made) == ["opened", "reminded", "escalated", "reminded", "reminded", "reminded"]
    late = book(remind_every=60)
    late.tick(at(250))
    assert kinds(late) == ["opened", "reminded"]
    assert next_due(late.gates["gate-1"]) == at(300)
    for never in (1e12, 1e300, float("inf")):  # later than any clock can say
        gate = book(remind_every=never, escalate_after=never, escalate_to=("Boss",)).gates["gate-1"]
        assert next_due(gate) == at(300)


def test_an_edit_makes_another_action_that_another_must_approve() -> None:
    made = book(eligible=("Ann", "Bob"))
    edited = made.decide(yes("Ann", edit={"amount": 4}, reason="too much"), START)
    assert (edited.kind, edited.digest) == (RecordKind.EDITED, action(4).digest)
    assert edited.reason == f"was {action().digest[:12]}; too much"
    assert made.decide(yes("Ann"), START).kind is RecordKind.REFUSED
    old = made.decide(yes("Bob", digest=action().digest), START)
    assert (old.kind, "edited since" in old.reason) == (RecordKind.REFUSED, True)
    assert made.decide(yes("Bob", digest=action(4).digest), START).kind is RecordKind.APPROVED
    assert made.gates["gate-1"].action.input == {"amount": 4}


def test_an_edit_takes_back_what_was_approved_before() -> None:
    made = book(**TWO)
    made.decide(yes("Ann"), START)
    made.decide(yes("Bob", edit={"amount": 4}), START)
    assert made.gates["gate-1"].approvers == ()
    assert made.decide(yes("Ann"), START).kind is RecordKind.COUNTED
    assert made.decide(yes("Cem"), START).kind is RecordKind.APPROVED


def test_an_edit_that_changes_nothing_is_a_yes_and_one_that_nobody_could_approve_is_refused() -> None:
    assert book().decide(yes("Ann", edit={"amount": 5}), START).kind is RecordKind.APPROVED
    assert book(eligible=("Ann",)).decide(yes("Ann", edit={"amount": 4}), START).kind is RecordKind.REFUSED
    assert book().decide(yes(edit={"amount": 4}), START).kind is RecordKind.REFUSED
    alone = book(eligible=("Ann",), edit_needs_another_approver=False)
    assert alone.decide(yes("Ann", edit={"amount": 4}), START).kind is RecordKind.EDITED
    assert alone.gates["gate-1"].outcome is APPROVED
    assert kinds(alone) == ["opened", "edited", "approved"]


def test_a_gate_goes_on_in_a_later_run_and_its_outcome_is_taken_once() -> None:
    first = book()
    carried = GatesCarried.model_validate_json(first.carried().model_dump_json())
    later = GateBook(carried)
    with pytest.raises(ValueError, match="name: there is a gate 'gate-1' already"):
        later.open(action(6), GatePolicy(), at(20), name="gate-1")
    assert later.open(action(), GatePolicy(), at(20)).deadline == at(300)
    later.decide(yes("Ann"), at(30))
    later.claim("gate-1")
    last = GateBook(later.carried())
    assert last.open(action(), GatePolicy(), at(40)).name == "gate-2"
    with pytest.raises(ValueError, match="gate of its own"):
        last.open(action(), GatePolicy(), at(40), name="gate-1")
    assert breaks(last.records) == ()


def test_a_gate_that_was_settled_while_the_run_went_on_is_not_asked_again() -> None:
    first = book()
    first.decide(yes("Ann"), at(1))
    later = GateBook(first.carried())
    assert later.open(action(), GatePolicy(), at(2)).outcome is APPROVED


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"needed": 3, "eligible": ("Ann", "ann", "Bob")}, "needed: 3 people must approve"),
        ({"escalate_after": 10}, "escalate_to: name the people"),
        ({"on_timeout": "escalate"}, "escalate_to: name the people"),
        ({"deadline": 0}, "deadline"),
        ({"deadlines": {"high": -1}}, "deadlines.high"),
        ({"remind_every": 0}, "remind_every"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        GatePolicy.model_validate(policy)


def test_a_gate_that_only_its_requester_could_approve_is_refused() -> None:
    with pytest.raises(ValueError, match=r"policy\.needed: 1 must approve, but of those named only 0 may"):
        book(requester="Ann", eligible=("Ann",))


def test_a_flood_of_messages_is_counted_and_does_not_fill_the_run() -> None:
    made = book()
    for number in range(NOISE_KEPT + 500):
        made.unreadable(f"junk {number}", START)
    assert (len(made.records), made.log.unkept) == (NOISE_KEPT + 1, 500)
    assert made.decide(yes("Ann"), START).kind is RecordKind.APPROVED
    assert breaks(made.records) == ()
    messages = sum(record.message for record in made.records) + made.log.unkept
    assert messages == NOISE_KEPT + 501


def test_what_is_carried_is_bounded() -> None:
    made = GateBook()
    for number in range(RECORDS_CARRIED):
        gate = made.open(action(number), GatePolicy(), START)
        made.decide(yes("Ann"), START)
        made.claim(gate.name)
    carried = made.carried()
    assert len(carried.log.records) == RECORDS_CARRIED
    assert len(carried.model_dump_json()) < 250_000
    later = GateBook(carried)
    assert later.open(action(1), GatePolicy(), START).name == f"gate-{RECORDS_CARRIED + 1}"
    assert later.decide(yes("Ann", gate=f"gate-{RECORDS_CARRIED}"), START).kind is RecordKind.DUPLICATE
    assert breaks(later.records, whole=False) == ()
