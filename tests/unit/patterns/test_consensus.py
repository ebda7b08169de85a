"""The count: each rule against a brute force over all ways in which the missing votes can come, and what a request may say."""

from fractions import Fraction
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.consensus.verdicts import verdict_schema, voting_alone
from outlast.consensus.votes import ConsensusRequest, OnTie, Rule, RuleKind, Voter
from outlast.consensus.voting import DEFAULT_VOTERS, PANEL, Ballots, Count, Outcome, problems, seated
from outlast.contracts import (
    SMALL_MODEL_HINT,
    AgentCard,
    Part,
)

MAJORITY, WEIGHTED, UNANIMOUS, QUORUM = RuleKind.MAJORITY, RuleKind.WEIGHTED, RuleKind.UNANIMOUS, RuleKind.QUORUM
NOBODY, UNDECIDED = Outcome(empty=True), Outcome("")


def count(kind: RuleKind, weights: list[float], options: str = "yn", quorum: int = 2) -> Count:
    voters = tuple(Voter(agent="a", name=str(number), weight=weight) for number, weight in enumerate(weights))
    return Count(Rule(kind=kind, quorum=quorum), voters, tuple(options))


def ballots(written: str) -> dict[str, str | None]:
    """Read "yn-." as votes by position: "-" failed, "." is still to come."""
    return {str(number): None if vote == "-" else vote for number, vote in enumerate(written) if vote != "."}


def by_hand(counted: Count, votes: Ballots) -> Outcome:
    """The rules once more, in another way: who is alone at the top, and does that reach."""
    if all(vote is None for vote in votes.values()):
        return NOBODY
    weighs = counted.rule.kind is WEIGHTED
    worth = {voter.name: Fraction(str(voter.weight)) if weighs else Fraction(1) for voter in counted.voters}
    sums = sorted(
        ((sum(worth[name] for name, vote in votes.items() if vote == option), option) for option in counted.options),
        reverse=True,
    )
    (top, option), (second, _) = sums[0], sums[1]
    whole = sum(worth.values())
    needed = {
        MAJORITY: top * 2 > whole,
        WEIGHTED: top * 2 > whole,
        UNANIMOUS: top == whole,
        QUORUM: top >= counted.rule.quorum,
    }
    return Outcome(option) if needed[counted.rule.kind] and top != second else UNDECIDED


def endings(counted: Count, votes: Ballots) -> list[Outcome]:
    """Every outcome that the missing votes can still bring about."""
    missing = [voter.name for voter in counted.voters if voter.name not in votes]
    choices = product((*counted.options, None), repeat=len(missing))
    return [by_hand(counted, {**votes, **dict(zip(missing, chosen, strict=True))}) for chosen in choices]


@st.composite
def situations(draw: st.DrawFn) -> tuple[Count, dict[str, str | None]]:
    options = draw(st.sampled_from(["yn", "ynu"]))
    weights = draw(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.0, 2.0]), min_size=2, max_size=5))
    kind = draw(st.sampled_from(list(RuleKind)))
    counted = count(kind, weights, options, draw(st.integers(1, len(weights))))
    written = draw(st.text(alphabet=f"{options}-.", min_size=len(weights), max_size=len(weights)))
    return counted, ballots(written)


@given(situations())
def test_it_stops_exactly_when_no_missing_vote_can_change_the_outcome(situation: tuple[Count, Ballots]) -> None:
    counted, votes = situation
    reachable = endings(counted, votes)
    same = all(end == reachable[0] for end in reachable)
    assert counted.settled(votes) == (reachable[0] if same else None)
    assert counted.outcome(votes) == by_hand(counted, votes)


@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_means_nothing(situation: tuple[Count, dict[str, str | None]], chance: Any) -> None:
    counted, votes = situation
    shuffled = list(votes.items())
    chance.shuffle(shuffled)
    other = dict(shuffled)
    assert counted.settled(other) == counted.settled(votes)
    assert counted.outcome(other) == counted.outcome(votes)
    assert counted.leaders(other) == counted.leaders(votes)
    assert counted.dissent(other, "y") == counted.dissent(votes, "y")
    assert counted.standing(other) == counted.standing(votes)


@given(situations())
def test_what_is_settled_stays_so_whatever_comes(situation: tuple[Count, dict[str, str | None]]) -> None:
    counted, votes = situation
    settled = counted.settled(votes)
    for voter in counted.voters:
        if settled is not None and voter.name not in votes:
            for option in (*counted.options, None):
                assert counted.settled({**votes, voter.name: option}) == settled


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        (MAJORITY, "yyy..", Outcome("y")),
        (MAJORITY, "yy...", None),
        (MAJORITY, "yynn.", None),
        (MAJORITY, "yyn--", UNDECIDED),
        (MAJORITY, "yy---", UNDECIDED),
        (MAJORITY, "y---.", UNDECIDED),
        (MAJORITY, "---..", None),
        (MAJORITY, "-----", NOBODY),
        (UNANIMOUS, "yyyyy", Outcome("y")),
        (UNANIMOUS, "yyyy.", None),
        (UNANIMOUS, "yn...", UNDECIDED),
        (UNANIMOUS, "y-...", UNDECIDED),
        (UNANIMOUS, "-....", None),
        (UNANIMOUS, "yyyy-", UNDECIDED),
        (QUORUM, "yyy..", Outcome("y")),
        (QUORUM, "yy...", None),
        (QUORUM, "yynn-", UNDECIDED),
        (QUORUM, "yynn.", None),
        (QUORUM, "y---.", None),
        (QUORUM, "y----", UNDECIDED),
    ],
)
def test_five_voters_under_each_rule(kind: RuleKind, written: str, expected: Outcome | None) -> None:
    assert count(kind, [1.0] * 5).settled(ballots(written)) == expected


def test_too_few_are_left_for_a_quorum() -> None:
    counted = count(QUORUM, [1.0] * 5, quorum=4)
    assert counted.settled(ballots("y-...")) is None
    assert counted.settled(ballots("y--..")) == UNDECIDED


@pytest.mark.parametrize(
    ("weights", "written", "expected"),
    [
        ([3.0, 1.0, 1.0], "y..", Outcome("y")),
        ([2.0, 1.0, 1.0], "y..", None),
        ([2.0, 1.0, 1.0], "ynn", UNDECIDED),
        # As floats, 0.1 + 0.2 is more than 0.3, and by that much more than half.
        ([0.1, 0.2, 0.3], "yyn", UNDECIDED),
        ([0.3, 0.3, 0.3, 0.9], "yyyn", UNDECIDED),
    ],
)
def test_weights_are_counted_as_they_are_written(weights: list[float], written: str, expected: Outcome | None) -> None:
    for order in permutations(range(len(weights))):
        counted = count(WEIGHTED, [weights[place] for place in order])
        assert counted.settled(ballots("".join(written[place] for place in order))) == expected


@pytest.mark.parametrize(
    ("written", "verdict", "dissent"),
    [
        ("yyn", "y", ("2",)),
        ("yyn", "n", ("0", "1")),
        ("yyn", "", ("2",)),
        ("yn-", "", ("0", "1")),
        ("yy-", "y", ()),
        ("y-.", "", ()),
        ("---", "", ()),
    ],
)
def test_who_dissents(written: str, verdict: str, dissent: tuple[str, ...]) -> None:
    assert count(MAJORITY, [1.0] * 3).dissent(ballots(written), verdict) == dissent


def test_the_standing_names_who_chose_what() -> None:
    assert count(MAJORITY, [1.0] * 4).standing(ballots("nyn-")) == "y 1 (1), n 2 (0, 2)"


def test_nobody_named_means_three_with_different_angles() -> None:
    voters = seated(())
    assert [voter.name for voter in voters] == [voter.agent for voter in DEFAULT_VOTERS]
    assert len({voter.angle for voter in PANEL}) == len({voter.agent for voter in PANEL}) == 5


def test_unnamed_voters_of_one_agent_are_told_apart_and_keep_their_own_angle() -> None:
    voters = seated([Voter(agent="sceptic"), Voter(agent="sceptic", angle="Mine."), Voter(agent="writer")])
    assert [voter.name for voter in voters] == ["sceptic", "sceptic (2)", "writer"]
    assert [voter.angle for voter in voters] == [PANEL[1].angle, "Mine.", ""]


TWO = ({"agent": "a"}, {"agent": "b"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"question": "  "}, "question: it is blank; say"),
        ({"options": ["yes"]}, "options: 1 given; name at least two"),
        ({"options": []}, "options: 0 given; name at least two"),
        ({"options": ["yes", " YES "]}, "options[1]: 'YES' is there already; name each option once"),
        ({"options": ["yes", " "]}, "options[1]: it is blank; write"),
        ({"options": ["yes", "n" * 101]}, "options[1]: 101 characters; write at most 100"),
        ({"options": [str(number) for number in range(21)]}, "options: 21 given; name at most 20"),
        ({"voters": [{"agent": "a"}]}, "voters: one voter is not a consensus; name at least two"),
        ({"voters": [{"agent": "a"}] * 51}, "voters: 51 given; name at most 50"),
        (
            {"voters": [{"agent": "a", "name": "b"}, {"agent": "b"}]},
            "voters[1].name: voters[0] is called 'b' as well; give",
        ),
        ({"voters": [{"agent": " "}, {"agent": "b"}]}, "voters[0].agent: it is blank; name an agent"),
        ({"voters": [{"agent": "a", "weight": float("inf")}, {"agent": "b"}]}, "voters[0].weight: it is inf; give"),
        ({"rule": {"kind": "quorum", "quorum": 3}}, "rule.quorum: 3 of 2 voters cannot agree; lower it"),
        ({"judge": "b"}, "judge: 'b' votes as well, and would judge itself; name an agent that does not vote"),
    ],
)
def test_what_cannot_be_voted_on_is_named_with_its_mend(fields: dict[str, Any], said: str) -> None:
    wrong = problems(ConsensusRequest.model_validate({"question": "q", "voters": TWO} | fields))
    assert len(wrong) == 1
    assert wrong[0].startswith(said)


@pytest.mark.parametrize(
    "fields",
    [{}, {"judge": "b", "on_tie": "flag"}, {"rule": {"kind": "majority", "quorum": 9}}, {"options": ["a", "b"]}],
)
def test_what_can_be_voted_on_has_no_problems(fields: dict[str, Any]) -> None:
    assert problems(ConsensusRequest.model_validate({"question": "q", "voters": TWO} | fields)) == []


def test_all_problems_are_named_at_once() -> None:
    request = ConsensusRequest(question="q", options=("a",), voters=(Voter(agent="judge"),), on_tie=OnTie.JUDGE)
    assert [problem.partition(":")[0] for problem in problems(request)] == ["options", "voters", "judge"]


def test_a_voter_is_never_replaced_by_another_agent() -> None:
    card = AgentCard(
        name="a", description="d", model="m", window=9, max_tokens=5, timeout=1, system=Part(), fallbacks=("b", "a@m2")
    )
    assert voting_alone(card).fallbacks == ("a@m2",)
    assert voting_alone(card.model_copy(update={"fallbacks": ("b",)})).fallbacks == ()


def test_the_schema_holds_the_options_and_the_beginning_of_the_question() -> None:
    schema = verdict_schema("Long " * 1000, "My angle.", ("yes", "no"))
    verdict = schema["properties"]["verdict"]
    assert verdict["enum"] == ["yes", "no"]
    assert "My angle. The answer is" in verdict[SMALL_MODEL_HINT]
    assert len(str(schema)) < 1500
