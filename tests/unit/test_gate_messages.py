"""What people send to a gate: understood in many forms, never turned from a no into a yes, never raised over."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.contracts import Decision, Verdict
from workflows.patterns.gate_messages import EDIT_LIMIT, read_decision

YES, NO = Verdict.APPROVE, Verdict.DENY


def understood(implied: Verdict | None, *arguments: Any) -> Decision:
    read = read_decision(arguments, implied, "signal")
    assert isinstance(read, Decision), read
    return read


@pytest.mark.parametrize(
    "word", ["yes", "YES ", "y", "true", "ok", "approve", "Approved", True, 1, b"yes", '"yes"', "+1"]
)
def test_many_words_mean_yes(word: Any) -> None:
    assert understood(None, word).verdict is YES
    assert understood(YES, word).verdict is YES
    assert understood(NO, word).verdict is NO
    assert understood(None, {"verdict": word}).verdict is YES


@pytest.mark.parametrize("word", ["no", "No ", "n", "false", "deny", "denied", "reject", False, 0, b"no", '"no"', "-1"])
def test_a_no_is_a_no_wherever_it_is_said(word: Any) -> None:
    for implied in (None, YES, NO):
        assert understood(implied, word).verdict is NO
        assert understood(implied, {"verdict": word}).verdict is NO
        assert understood(implied, {"approved": word, "by": "Ann"}).verdict is NO


@pytest.mark.parametrize("nothing", [(), (None,), ("",), ("  ",), (b"",), ({},), ('""',)])
def test_nothing_means_what_the_message_is_called(nothing: tuple[Any, ...]) -> None:
    assert understood(YES, *nothing).verdict is YES
    assert understood(NO, *nothing).verdict is NO
    assert isinstance(read_decision(nothing, None, "signal"), str)


@pytest.mark.parametrize(
    ("sent", "by", "reason"),
    [
        ("alice", "alice", ""),
        ("  Alice  van Dyk ", "Alice van Dyk", ""),
        (b"alice", "alice", ""),
        ('"alice"', "alice", ""),
        ({"by": "alice", "reason": "looks\nfine"}, "alice", "looks fine"),
        ({"who": "alice"}, "alice", ""),
        ({"approver": 7}, "7", ""),
        ('{"by": "alice"}', "alice", ""),
        ("this looks perfectly fine to me", "", "this looks perfectly fine to me"),
    ],
)
def test_a_name_or_a_reason_beside_an_approval(sent: Any, by: str, reason: str) -> None:
    read = understood(YES, sent)
    assert (read.verdict, read.by, read.reason) == (YES, by, reason)


def test_the_full_form() -> None:
    read = understood(
        None,
        {
            "gate": "gate-2", "verdict": "approve", "by": "Ann", "reason": "r" * 500, "digest": "ab" * 32,
            "edit": {"amount": 4}, "token": "secret", "channel": "chat",
        },
    )  # fmt: skip
    assert (read.gate, read.digest, read.edit, len(read.reason)) == ("gate-2", "ab" * 32, {"amount": 4}, 200)
    assert read.channel == "signal:chat"
    assert read.token == "secret"  # for the check on the way; that no record holds it: test_signed_decisions


@pytest.mark.parametrize(
    ("implied", "sent", "why"),
    [
        (YES, ["a", "b"], "2 inputs"),
        (YES, [[]], "is no decision"),
        (YES, [2], "is no decision"),
        (YES, [3.5], "is no decision"),
        (None, ["alice"], "is no decision"),
        (None, [{"by": "alice"}], "no verdict"),
        (YES, [b"\xff\x00"], "is no decision"),
        (YES, ["a\x00b"], "cannot be read"),
        (YES, ['{"by": "al'], "cannot be read"),
        (YES, ["not approved"], "does not read like a yes"),
        (YES, ["No, wait!"], "does not read like a yes"),
        (YES, ["I do not think that we should do it"], "does not read like a yes"),
        (YES, [{"verdct": "deny"}], "nobody knows a field 'verdct'"),
        (YES, [{"by": "a", "who": "b"}], "by is given twice"),
        (YES, [{"by": ["a"]}], "by: ['a'] is no text"),
        (YES, [{"by": True}], "by: True is no text"),
        (YES, [{"by": "a" * 101}], "by: more than 100"),
        (YES, [{"verdict": "maybe"}], "neither approve nor deny"),
        (YES, [{"verdict": {"a": 1}}], "neither approve nor deny"),
        (NO, [{"verdict": "approve"}], "a denial that says approve"),
        (NO, [{"edit": {}}], "a denial cannot edit"),
        (YES, [{"edit": [1]}], "is no object"),
        (YES, [{"edit": {"a": float("nan")}}], "cannot be kept"),
        (YES, [{"edit": {"a": "x" * EDIT_LIMIT}}], "edit: more than"),
        (YES, [{"by": "\ud800"}], "cannot be kept"),
        (YES, ['{"edit": {"a": "\\ud800"}}'], "cannot be kept"),
    ],
)
def test_what_is_not_understood_says_why(implied: Verdict | None, sent: list[Any], why: str) -> None:
    read = read_decision(sent, implied, "signal")
    assert isinstance(read, str)
    assert why in read


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["by", "verdict", "edit", "gate", "x"]) | st.text(), inner)
    ),
)


@given(st.lists(ANYTHING, max_size=2), st.sampled_from([None, YES, NO]))
def test_whatever_comes_is_a_decision_fit_for_history_or_a_reason(sent: list[Any], implied: Verdict | None) -> None:
    read = read_decision(sent, implied, "signal")
    if isinstance(read, str):
        assert read
        read.encode()
    else:
        assert Decision.model_validate_json(read.model_dump_json()) == read
        assert implied is not NO or read.verdict is NO


def test_deeply_nested_edits_are_refused() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = {"a": deep}
    assert isinstance(read_decision([{"edit": deep}], YES, "signal"), str)
    assert isinstance(read_decision([json.dumps({"edit": 1}) + "[" * 100_000], YES, "signal"), str)
