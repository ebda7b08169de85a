"""What free analyses agree on: quotes looked up in the document, points counted from the claims, a grouping never believed."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.consensus.agreement import Source, agreement, claims_of, firmness, listing, looked_up
from outlast.consensus.contracts import Claim, Firmness

LEASE = Source(
    "lease.md", "# Lease\n\nThe tenant shall pay rent of $1,200 on the\nfirst day of each month.\n\nNo sub-letting."
)
MORE = Source("annex.md", "The landlord “shall insure” the building — at its own cost.")


@pytest.mark.parametrize(
    ("quote", "place"),
    [
        ("The tenant shall pay rent", "lease.md, line 3"),
        ("the TENANT shall pay  rent of $1,200 on the first day", "lease.md, line 3"),
        ("first day of each month.", "lease.md, line 4"),
        ('"No sub-letting"', "lease.md, line 6"),
        ('The landlord "shall insure" the building - at its own cost', "annex.md, line 1"),
        ("The tenant shall pay rent … each month", "lease.md, line 3"),
        ("The tenant [...] sub-letting", "lease.md, line 3"),
        ("The tenant may pay rent", ""),
        ("rent of $1,300", ""),
        ("The tenant … shall insure … forever", ""),
        ("enant shall pay", ""),
        ("…", ""),
        ("", ""),
    ],
)
def test_a_quote_is_found_by_its_words_and_only_by_all_of_them(quote: str, place: str) -> None:
    found = looked_up(quote, [LEASE, MORE])
    assert (found.found, found.place) == (bool(place), place)


def finding(claim: str, *evidence: str, confidence: Any = 0.8) -> dict[str, Any]:
    return {"claim": claim, "evidence": list(evidence), "confidence": confidence}


def claims(**by: Sequence[str]) -> list[Claim]:
    answers = {
        analyst: {"findings": [finding(text, "shall pay rent") for text in said]} for analyst, said in by.items()
    }
    return claims_of(answers, [LEASE])


def test_claims_are_numbered_by_analyst_and_a_confidence_that_is_none_is_left_out() -> None:
    answers = {"ann": {"findings": [finding("x"), finding("y", confidence=30)]}, "bob": {"findings": [finding("z")]}}
    found = claims_of(answers, [LEASE])
    assert [(claim.id, claim.analyst, claim.confidence) for claim in found] == [
        ("A1", "ann", 0.8),
        ("A2", "ann", None),
        ("B1", "bob", 0.8),
    ]
    many = claims_of({f"voter {n}": {"findings": [finding("c")]} for n in range(30)}, [])
    assert len({claim.id for claim in many}) == 30


def test_the_listing_says_of_each_quote_whether_it_stands_in_the_document() -> None:
    answers = {"ann": {"findings": [finding("x", "The tenant shall pay rent", "The tenant may leave")]}}
    text = listing(claims_of(answers, [LEASE]))
    assert '[A1] ann, 80% sure: x\n  "The tenant shall pay rent" (lease.md, line 3)' in text
    assert '"The tenant may leave" (NOT found in the document)' in text


def point(statement: str, *positions: Sequence[str]) -> dict[str, Any]:
    return {
        "statement": statement,
        "positions": [{"position": names[0], "claims": list(names[1:])} for names in positions],
    }


def test_points_are_agreed_disputed_or_seen_by_one_by_who_made_the_claims() -> None:
    made = claims(ann=("pays", "insures", "garden"), bob=("pays too", "does not insure"), eve=("must pay",))
    points = [
        point("rent", ("the tenant pays", "A1", "b1", "[C1]")),
        point("insurance", ("the tenant insures", "A2"), ("the landlord insures", "B2")),
        point("garden", ("there is a garden", "A3")),
    ]
    found, notes = agreement(made, {"points": points, "answer": "The tenant pays."})
    assert [(each.statement, each.by) for each in found.agreed] == [("rent", ("ann", "bob", "eve"))]
    assert [[(side.position, side.by) for side in each.positions] for each in found.disputed] == [
        [("the tenant insures", ("ann",)), ("the landlord insures", ("bob",))]
    ]
    assert [each.statement for each in found.single] == ["garden"]
    assert (found.answer, found.firmness, notes) == ("The tenant pays.", Firmness.MIXED, [])


def test_what_the_consensus_agent_makes_up_or_forgets_is_put_right_and_noted() -> None:
    made = claims(ann=("pays", "insures"), bob=("pays too", "insures too"))
    points = [
        point("rent", ("pays", "A1", "B1", "Z9")),
        point("again", ("pays again", "A1", "A2")),
        point("nobody", ("nothing", "Q1")),
    ]
    found, notes = agreement(made, {"points": points, "answer": "a"})
    assert [each.by for each in found.agreed] == [("ann", "bob")]
    assert [each.statement for each in found.single] == ["again", "insures too"]
    assert [note.rpartition(": ")[2] for note in notes] == ["Z9, Q1", "A1", "1"]


def test_one_analyst_with_two_positions_is_no_dispute_and_one_on_both_sides_is_noted() -> None:
    made = claims(ann=("pays", "does not pay"), bob=("pays too",))
    alone, _ = agreement(made, {"points": [point("rent", ("pays", "A1"), ("not", "A2"))], "answer": ""})
    assert (len(alone.disputed), [each.statement for each in alone.single]) == (0, ["pays", "not", "pays too"])
    both, notes = agreement(made, {"points": [point("rent", ("pays", "A1", "B1"), ("not", "A2"))], "answer": ""})
    assert (len(both.disputed), notes) == (1, ["rent: ann is on both sides"])


def test_without_a_grouping_only_equal_words_agree() -> None:
    made = claims(ann=("The tenant pays.", "x"), bob=("the tenant pays",))
    found, notes = agreement(made, None)
    assert [each.by for each in found.agreed] == [("ann", "bob")]
    assert ([each.statement for each in found.single], len(notes)) == (["x"], 1)


@pytest.mark.parametrize(
    ("agreed", "disputed", "single", "supported", "expected"),
    [
        (2, 0, 2, True, Firmness.FIRM),
        (2, 0, 3, True, Firmness.MIXED),
        (2, 0, 0, False, Firmness.MIXED),
        (2, 1, 0, True, Firmness.MIXED),
        (1, 2, 0, True, Firmness.DIVIDED),
        (0, 0, 5, True, Firmness.UNSUPPORTED),
    ],
)
def test_how_firm_an_answer_is_follows_from_the_points(
    agreed: int, disputed: int, single: int, supported: bool, expected: Firmness
) -> None:
    quote = "shall pay rent" if supported else "never written"
    answers = {name: {"findings": [finding("c", quote)]} for name in ("ann", "bob")}
    made = claims_of(answers, [LEASE])
    yes, _ = agreement(made, {"points": [point("p", ("c", "A1", "B1"))], "answer": ""})
    no, _ = agreement(made, {"points": [point("p", ("c", "A1"), ("d", "B1"))], "answer": ""})
    assert firmness(yes.agreed * agreed, no.disputed * disputed, no.disputed * single) is expected


IDS = st.lists(st.sampled_from(["A1", "A2", "B1", "B2", "C1", "X1", ""]), max_size=4)
POSITIONS = st.lists(IDS.map(lambda ids: ("position", *ids)), max_size=3)


@given(st.lists(POSITIONS, max_size=5))
def test_every_claim_stands_in_exactly_one_place_whatever_the_grouping(groups: list[list[Sequence[str]]]) -> None:
    made = claims(ann=("a", "b"), bob=("c", "d"), eve=("e",))
    found, _ = agreement(made, {"points": [point("p", *positions) for positions in groups], "answer": ""})
    every = (*found.agreed, *found.disputed, *found.single)
    placed = [name for each in every for position in each.positions for name in position.claims]
    assert sorted(placed) == ["A1", "A2", "B1", "B2", "C1"]
    assert all(len(each.by) > 1 for each in (*found.agreed, *found.disputed))
