"""What an approval must have seen: the action before it opened, arguments that were cut, edits; and who counts as one person."""

from typing import Any

import pytest
from pydantic import ValidationError

from outlast.approvals.book import GateBook
from outlast.approvals.rules import Facts, denied_before
from outlast.contracts import GateOutcome, GatePolicy, ProposedAction, RecordKind, Risk, shown
from tests.unit.approvals.gate_cases import START, action, book, no, yes

APPROVED, PENDING = GateOutcome.APPROVED, GateOutcome.PENDING
TWO: dict[str, Any] = {"needed": 2, "eligible": ("Ann", "Bob", "Cem")}


@pytest.mark.parametrize("risk", [Risk.MEDIUM, Risk.HIGH])
def test_an_unseen_action_is_not_approved_beforehand_without_its_digest(risk: Risk) -> None:
    made = GateBook()
    made.decide(yes("Ann"), START)
    made.decide(yes("Bob", gate="gate-2", digest=action(6).digest), START)
    made.open(action(risk=risk), GatePolicy(), START)
    made.open(action(6, risk=risk), GatePolicy(), START)
    assert [gate.outcome for gate in made.gates.values()] == [PENDING, APPROVED]
    refused = made.records[3]
    assert (refused.kind, refused.message) == (RecordKind.REFUSED, False)
    assert "before the action was known" in refused.reason
    assert f'"digest": "{action().digest[:12]}"' in refused.reason
    assert made.decide(yes("Ann", digest=action().digest[:12]), START).kind is RecordKind.APPROVED


def test_arguments_that_no_channel_showed_whole_are_approved_by_their_digest_alone() -> None:
    mail = {"to": ["ann@example.org", "mallory@example.org"], "text": "x" * 2000}
    proposed = ProposedAction(description="Mail", tool="send_mail", input=mail)
    made = GateBook()
    gate = made.open(proposed, GatePolicy(), START)
    assert (gate.shown.whole, gate.shown.counts) == (False, ("to: 2 items", "text: 2,000 characters"))
    refused = made.decide(yes("Ann"), START)
    assert refused.kind is RecordKind.REFUSED
    assert f"its arguments ({gate.shown.size:,} bytes) were not shown in full" in refused.reason
    assert f'send {{"gate": "gate-1", "digest": "{gate.digest[:12]}"}} with it' in refused.reason
    assert made.decide(no("Ann", gate="gate-9"), START).kind is RecordKind.EARLY
    assert made.decide(yes("Ann", digest=gate.digest[:12]), START).kind is RecordKind.APPROVED
    kept = ProposedAction(description="Mail", tool="send_mail", ref="r" * 43)
    assert made.open(kept, GatePolicy(), START, facts=Facts(arguments=shown(mail))).shown == gate.shown
    assert not made.open(kept, GatePolicy(), START).shown.whole


def test_an_edit_with_keys_that_nothing_takes_is_refused_and_names_them() -> None:
    made = book()
    refused = made.decide(yes("Ann", edit={"amount": 4, "agent": "x"}), START)
    assert (refused.kind, refused.reason) == (
        RecordKind.REFUSED,
        "edit: nothing takes 'agent'; this action takes amount",
    )
    wider = GateBook()
    wider.open(action(), GatePolicy(), START, facts=Facts(takes=("amount", "note")))
    assert wider.decide(yes("Ann", edit={"amount": 4, "note": "x"}), START).kind is RecordKind.EDITED


def test_an_edited_action_is_described_anew() -> None:
    made = book()
    made.decide(yes("Ann", edit={"amount": 4}), START)
    assert made.gates["gate-1"].action.description == "as edited: clerk · pay(amount=4)"
    assert made.gates["gate-1"].shown.text == '{"amount": 4}'
    told = GateBook()
    told.open(action(), GatePolicy(), START, describe=lambda edited: f"Pay {edited.input['amount']}")
    told.decide(yes("Ann", edit={"amount": 4}), START)
    assert told.gates["gate-1"].action.description == "Pay 4"


@pytest.mark.parametrize(
    "name", ["ANN", "Ａｎｎ", "An\u200bn", "\u202eAnn\u202c", " Ann\ufeff", "An\u00adn", "Ann\ufe0f", "Ann\u3164"]
)
def test_one_person_written_otherwise_is_still_one_person(name: str) -> None:
    made = book(requester="Ann", eligible=("Ann", "Bob", "Cem"), needed=2)
    assert "asked for this action" in made.decide(yes(name), START).reason
    two = book(**TWO)
    assert two.decide(yes("Ann"), START).kind is RecordKind.COUNTED
    assert two.decide(yes(name), START).kind is RecordKind.DUPLICATE
    with pytest.raises(ValidationError, match="needed: 2 people must approve"):
        GatePolicy(needed=2, eligible=("Ann", name))


def test_what_counts_as_after_a_reset_is_not_decided_beforehand() -> None:
    made = GateBook()
    made.decide(yes("Ann", digest=action().digest), START)
    made.open(action(), GatePolicy(), START, facts=Facts(run="second", after_reset=True))
    assert made.gates["gate-1"].outcome is PENDING
    assert "before this run was reset" in made.records[-1].reason
    assert made.decide(yes("Ann"), START).kind is RecordKind.APPROVED


def test_a_denied_act_is_known_again_by_its_arguments_after_a_continuation() -> None:
    gates = book()
    gates.decide(no("bob"), START)
    gates.claim("gate-1")
    carried = list(GateBook(gates.carried()).gates.values())
    by_another = action().model_copy(update={"agent": "deputy"})
    assert denied_before(carried, by_another) is not None
    assert denied_before(carried, action().model_copy(update={"input": {}})) is None  # another act of the same tool
