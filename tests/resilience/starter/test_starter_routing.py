"""The commands `train-router` and `route` against real processes: what they print, refuse, and leave with."""

import re
from pathlib import Path

import pytest

from tests.processes import PROJECT
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

SAMPLE = str(PROJECT / "samples" / "requests" / "labelled.csv")
INBOX = str(PROJECT / "samples" / "requests" / "inbox.txt")
INBOX_CATEGORIES = ["billing", "technical_support", "general_inquiry", "escalation_required"]


def test_what_was_trained_routes_a_file_without_a_model_call_for_it(stack: Stack) -> None:
    nothing = stack.run("route", "Hello?", "--classifier", "trained", "--trained", "other")
    assert nothing.returncode == 2
    assert "--trained 'other': no classifier of that name" in nothing.stderr
    assert "train-router FILE --name other" in nothing.stderr

    shown = stack.done("train-router", SAMPLE)
    assert "billing                120 examples" in shown
    assert re.search(r"accuracy 8\d\.\d% on left-out examples \(5 folds\)", shown)
    trained = stack.json("train-router", SAMPLE, "--name", "again")
    assert trained["reference"] in shown, "the same examples give the same classifier"
    assert trained["counts"]["general_inquiry"] == 114

    stack.api.reset()
    routed = stack.json("route", "--file", INBOX, "--classifier", "trained")
    assert [request["category"] for request in routed["requests"]] == INBOX_CATEGORIES
    assert routed["requests"][3]["answers"][0]["ticket"]["category"] == "escalation_required"
    assert len(stack.api.hits()) == 4, "one call for each handler"

    by_reference = stack.done("route", "My invoice is wrong", "--trained", trained["reference"])
    assert "request · billing · " in by_reference
    assert "completed · 1 request · 1 call" in by_reference


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["route"], "give the request as REQUEST, or many of them by --file"),
        (["route", "x", "--file", INBOX], "one of the two"),
        (["route", "x", "--router", "llm", "--classifier", "small"], "--router llm asks no classifier"),
        (["route", "x", "--classifier", "small", "--trained", "a"], "another router is asked for"),
        (["route", "x", "--trained", "nobody"], "no classifier of that name is in the content store"),
        (["route", "--file", "nowhere.txt"], "--file nowhere.txt cannot be read"),
        (["train-router", INBOX], "the column 'text' is missing"),
        (["train-router", "samples"], "FILE samples is a directory; pass a file"),
        (["train-router", SAMPLE, "--name", "a/b"], "--name 'a/b': use letters"),
    ],
)
def test_wrong_usage_leaves_with_2_and_says_what_to_do(stack: Stack, arguments: list[str], told: str) -> None:
    ended = stack.run(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert told in " ".join(ended.stderr.split())


def test_a_request_that_fails_is_told_beside_the_others(stack: Stack, tmp_path: Path) -> None:
    stack.api.script(
        rules=[
            {"system": "You sort requests", "data": {"category": "billing", "confidence": 0.9}},
            {"user": "Second", "status": 400, "error_type": "invalid_request_error", "message": "no thanks"},
        ]
    )
    file = tmp_path / "two.csv"
    file.write_text('text;id\n"First; of two";1\nSecond;2\n')
    ended = stack.run("route", "--file", str(file))
    assert ended.returncode == 1
    assert "row 2 · billing · 90% sure" in ended.stdout
    assert "partial · 2 requests" in ended.stdout
    assert "1 of 2 requests failed: row 3: " in ended.stderr
