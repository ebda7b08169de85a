"""`starter.py consensus` and `starter.py answer` against real processes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import wait_for
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

ASKED = ("--question", "Does it bind the tenant?", "--option", "yes", "--option", "no")
WHY = " ".join(f"reason{number}" for number in range(40))
"""More than fits into a vote."""
PAIR = ("--voter", "analyst", "--voter", "sceptic")


@pytest.fixture
def lease(tmp_path: Path) -> str:
    file = tmp_path / "lease.md"
    file.write_text("# Lease\n\nThe tenant shall pay rent on the first day of each month.\n")
    return str(file)


def verdict(option: str) -> dict[str, Any]:
    return {"evidence": ["shall pay rent"], "reasons": f"It says {option}. {WHY}", "verdict": option, "confidence": 0.9}


def divided(stack: Stack) -> None:
    rules = [{"system": "You are a sceptic", "data": verdict("no")}, {"system": "You are", "data": verdict("yes")}]
    stack.api.script(rules=rules)


def test_the_default_three_vote_and_their_votes_are_shown(stack: Stack, lease: str) -> None:
    divided(stack)

    shown = stack.done("consensus", lease, *ASKED, "--id", "shown")
    data = json.loads(stack.done("result", "shown", "--json"))

    assert "verdict: yes · by majority · " in shown
    assert "It says yes." in shown
    assert set(WHY.split()) <= set(shown.split()), "reasons are shown whole"
    assert (data["verdict"], data["decided_by"]) == ("yes", "majority")
    assert [vote["voter"] for vote in data["votes"]] == ["analyst", "sceptic", "general-analyst"]
    assert json.loads(data["votes"][0]["full"]) == verdict("yes")


def test_weights_and_quorum_are_given_on_the_command_line(stack: Stack, lease: str) -> None:
    divided(stack)

    weighted = stack.json(
        "consensus", lease, *ASKED, "--rule", "weighted", "--voter", "analyst", "--voter", "sceptic=3"
    )
    quorum = stack.json("consensus", lease, *ASKED, "--quorum", "1", *PAIR)

    assert (weighted["verdict"], weighted["votes"][1]["weight"]) == ("no", 3.0)
    assert (quorum["verdict"], quorum["decided_by"]) == ("yes", "judge"), "one vote each: nobody is alone at the top"


def test_a_person_is_asked_and_answers_from_the_command_line(stack: Stack, lease: str) -> None:
    divided(stack)

    stack.done("consensus", lease, *ASKED, *PAIR, "--on-tie", "person", "--id", "tied", "--detach")
    wait_for(lambda: "tie asks" in stack.run("status", "tied").stdout, "the question")
    refused = stack.run("answer", "tied", "perhaps")
    taken = stack.done("answer", "tied", "No")

    assert (refused.returncode, "'perhaps' is not one of yes, no" in refused.stderr) == (2, True)
    assert taken == "tie of tied is answered: No\n"
    assert json.loads(stack.done("result", "tied", "--json"))["decided_by"] == "person"
    late = stack.run("answer", "tied", "yes")
    assert (late.returncode, "has ended already" in late.stderr) == (2, True)


def test_no_verdict_leaves_with_1_and_says_how_the_votes_stand(stack: Stack, lease: str) -> None:
    divided(stack)

    ended = stack.run("consensus", lease, *ASKED, *PAIR, "--on-tie", "flag")

    assert ended.returncode == 1
    assert "dissent: analyst, sceptic" in ended.stdout
    assert "no verdict: the votes decide nothing: yes 1 (analyst), no 1 (sceptic)" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--question", "q", "--option", "yes"), "options: 1 given; name at least two"),
        (("--question", " "), "--question is empty; write one"),
        (("--question", "q", "--voter", "analyst"), "voters: one voter is not a consensus"),
        ((*ASKED, "--quorum", "4"), "rule.quorum: 4 of 3 voters cannot agree"),
        ((*ASKED, "--quorum", "2", "--rule", "weighted"), "--quorum: it says nothing under --rule weighted"),
        (("--question", "q", "--voter", "a=heavy", "--voter", "b"), "the weight must be a number over 0"),
        ((*ASKED, "--judge", "analyst"), "judge: 'analyst' votes as well"),
        (("--judge", "analyst"), "consensus_agent: 'analyst' is an analyst as well"),
        (("--option", "yes", "--option", "no"), "--question: say what the options answer"),
    ],
)
def test_what_cannot_be_voted_on_is_refused_before_anything_starts(
    stack: Stack, lease: str, arguments: tuple[str, ...], said: str
) -> None:
    ended = stack.run("consensus", lease, *arguments)

    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert stack.api.hits() == []


def test_without_options_the_analysts_findings_are_grouped_and_shown(stack: Stack, lease: str) -> None:
    finding = {"evidence": ["shall pay rent"], "claim": "The tenant pays rent.", "confidence": 0.9}
    point = {"statement": "rent", "positions": [{"position": "The tenant pays.", "claims": ["A1", "B1"]}]}
    stack.api.script(
        rules=[
            {"system": "You compare analyses", "data": {"points": [point], "answer": "Rent is due."}},
            {"system": "You are", "data": {"findings": [finding], "answer": "It binds."}},
        ]
    )

    shown = stack.done("consensus", lease, *PAIR, "--id", "freely")
    data = json.loads(stack.done("result", "freely", "--json"))
    wrong = stack.run("consensus", lease, "--rule", "unanimous")

    assert "answer: Rent is due." in shown
    assert "firm: 1 agreed, 0 disputed, 0 seen by one alone · 2 of 2 quotes found in the document" in shown
    assert "• The tenant pays.\n    2 of 2: analyst, sceptic" in shown
    assert '"shall pay rent" (lease.md, line 3)' in shown
    assert data["findings"]["agreed"][0]["positions"][0]["by"] == ["analyst", "sceptic"]
    assert (wrong.returncode, "--rule: it is about votes" in wrong.stderr) == (2, True)
