"""What people send to a gate: understood in many forms, never turned from a no into a yes, never raised over."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.approvals.messages import EDIT_LIMIT, read_decision
from outlast.contracts import Decision, Verdict
from tests.unit.approvals.refusals import REFUSALS

YES, NO = Verdict.APPROVE, Verdict.DENY


def understood(implied: Verdict | None, *arguments: Any) -> Decision:
    read = read_decision(arguments, implied, "signal")
    assert isinstance(read, Decision), read
    return read


@pytest.mark.parametrize(
    "word",
    [
        "yes",
        "YES ",
        "y",
        "true",
        "ok",
        "approve",
        "Approved",
        True,
        b"yes",
        '"yes"',
        "+1",
        "Yes!",
        "ja.",
        "“Oui”",
        "sí",
        "SI\u0301",
        "d’accord",
        "Ｙｅｓ",
        "да",
        "はい",
        "同意",
        "네",
        "نعم",
        "👍",
        "👍🏿",
        "✅",
        "✔️",
        "\ufeffyes",
    ],
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
        ({"by": "alice", "reason": "looks\nfine"}, "alice", "looks fine"),
        ({"who": "alice"}, "alice", ""),
        ({"approver": 7}, "7", ""),
        ('{"by": "alice"}', "alice", ""),
    ],
)
def test_a_name_or_a_reason_beside_an_approval(sent: Any, by: str, reason: str) -> None:
    read = understood(YES, sent)
    assert (read.verdict, read.by, read.reason) == (YES, by, reason)


@pytest.mark.parametrize("name", ["alice", "  Alice ", b"alice", '"alice"', "ＡＬＩＣＥ"])
def test_a_plain_text_is_a_name_only_where_the_policy_lists_it(name: Any) -> None:
    listed = read_decision([name], YES, "signal", ("Bob", "Alice"))
    assert isinstance(listed, Decision)
    assert (listed.verdict, listed.by.casefold().strip() != "") == (YES, True)
    for names in ((), ("Bob",), ("Alice Smith",)):
        assert isinstance(read_decision([name], YES, "signal", names), str)
    assert isinstance(read_decision([name], None, "signal", ("Alice",)), str)
    assert understood(NO, name).by != ""


@pytest.mark.parametrize(
    ("sent", "by", "reason"),
    [
        ([1, 2, 3], "", ""),
        ([[]], "", ""),
        ([b"\xff"], "", ""),
        ([True], "", ""),
        (["alice"], "alice", ""),
        (["far too dear for what it is"], "", "far too dear for what it is"),
        ([{"verdict": "approve", "by": "bob"}], "bob", ""),
        ([{"verdct": "yes", "edit": {}, "by": ["x"], "reason": "no"}], "", "no"),
        ([{"by": "\ud800"}], "?", ""),
        ([{"by": "a" * 101}], "", ""),
    ],
)
def test_whatever_comes_with_a_denial_denies(sent: list[Any], by: str, reason: str) -> None:
    read = understood(NO, *sent)
    assert (read.verdict, read.by, read.reason) == (NO, by, reason)


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
        (YES, [[]], "is not a known yes"),
        (YES, [1], "is not a known yes"),
        (YES, [3.5], "is not a known yes"),
        (YES, ["[true]"], "is not a known yes"),
        (YES, ["yes?"], "is not a known yes"),
        (YES, ["yes…"], "is not a known yes"),
        (None, ["alice"], "is not a known yes"),
        (None, [{"by": "alice"}], "no verdict"),
        (YES, [b"\xff\x00"], "is not a known yes"),
        (YES, ["a\x00b"], "is not a known yes"),
        (YES, ['{"by": "al'], "is not a known yes"),
        (YES, [{"reason": "No!"}], "says no beside a yes"),
        (YES, [{"verdict": None}], "neither approve nor deny"),
        (YES, [{"verdict": ""}], "neither approve nor deny"),
        (YES, [{"approved": 1}], "neither approve nor deny"),
        (YES, [{"verdct": "deny"}], "nobody knows a field 'verdct'"),
        (YES, [{"by": "a", "who": "b"}], "by is given twice"),
        (YES, [{"by": ["a"]}], "by: ['a'] is not a text"),
        (YES, [{"by": True}], "by: True is not a text"),
        (YES, [{"by": "a" * 101}], "by: more than 100"),
        (YES, [{"verdict": "maybe"}], "neither approve nor deny"),
        (YES, [{"verdict": {"a": 1}}], "neither approve nor deny"),
        (YES, [{"edit": [1]}], "is not an object"),
        (YES, [{"edit": {"a": float("nan")}}], "cannot be kept"),
        (YES, [{"edit": {"a": "x" * EDIT_LIMIT}}], "edit: more than"),
        (YES, [{"by": "\ud800"}], "cannot be kept"),
        (YES, ['{"edit": {"a": "\\ud800"}}'], "cannot be kept"),
        (None, ['{"approved": false, "approved": true}'], "is not a known yes"),
        (YES, ['{"edit": {"amount": 5, "amount": 5000}}'], "is not a known yes"),
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


@given(
    st.sampled_from(REFUSALS),
    st.sampled_from(
        ["{}", "{}.", "{}!", "{}?!", "«{}»", "“{}”", "‘{}’", '"{}"', "{} 👎", "❌ {}", "{}, {}", "({})", "{}\u200b"]
    ),
    st.sampled_from([str, str.upper, str.title, str.casefold, lambda text: unicodedata.normalize("NFD", text)]),
    st.sampled_from([YES, None]),
)
@settings(max_examples=3000)
def test_no_refusal_in_any_language_approves(
    refusal: str, around: str, written: Callable[[str], str], implied: Verdict | None
) -> None:
    said = written(around.replace("{}", refusal))
    for sent in (said, said.encode(), json.dumps(said), {"verdict": said}, {"approved": said, "by": "Ann"}):
        read = read_decision([sent], implied, "signal", ("Ann", "Bob"))
        assert isinstance(read, str) or read.verdict is NO


def test_there_are_refusals_enough() -> None:
    assert len(set(REFUSALS)) >= 200


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
