"""Messages to Slack and Teams: nothing a model wrote is read as markup, all limits hold, and what is cut cannot be approved."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from outlast.contracts import Bounds, GateNews, GateOutcome, GateView, Notice, Question, RecordKind, Risk, SlackPost
from outlast.notices.slack.forms import answer_of, dialog
from outlast.notices.slack.gate_forms import bounds_dialog, bounds_of, field_of, reason_dialog, reason_of
from outlast.notices.slack.messages import Shown, gate_message, notification, question_message, stripped
from outlast.notices.teams import LARGEST, TeamsChannel
from outlast.server.slack.clicks import read_click
from tests.doubles.slack import wrong_blocks, wrong_view

WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
HOSTILE = (
    "<!channel> <@U1> <https://evil.example|Approve> *bold* ```x``` [Approve](https://evil.example) & \u202egone\n"
    "Approved by ada"
)


def news(**gate: Any) -> GateNews:
    view = {
        "name": "gate-1",
        "description": HOSTILE[:200],
        "deadline": WHEN,
        "digest": "d" * 64,
        "tool": "pay",
        "risk": Risk.HIGH,
    }
    return GateNews(
        workflow_id="run", kind=RecordKind.OPENED, gate=GateView.model_validate(view | gate), to=("Ada", "bob")
    )


def post(about: GateNews | None = None, **more: Any) -> SlackPost:
    given: dict[str, Any] = {"workflow_id": "run", "workflow": "Pay", "chain": "c1", "gate": about} | more
    return SlackPost.model_validate(given)


def buttons(blocks: list[dict[str, Any]]) -> list[str]:
    return [one["action_id"] for block in blocks if block["type"] == "actions" for one in block["elements"]]


SHOWN = Shown("https://inbox.example/", "https://ui.example/run", {"ada": "U0ADA0000"})


def test_nothing_in_a_message_is_read_as_markup() -> None:
    about = news(arguments=json.dumps({"text": HOSTILE}), target=HOSTILE, agent=HOSTILE, requester=HOSTILE)
    blocks = gate_message(post(about), about, SHOWN)
    assert wrong_blocks(blocks) == "", "the double takes rich text and plain text alone"
    users = [one for one in elements(blocks) if one["type"] == "user"]
    links = [one for one in elements(blocks) if one["type"] == "link"]
    assert ([one["user_id"] for one in users], [one["url"] for one in links]) == (
        ["U0ADA0000"],
        ["https://ui.example/run"],
    )
    assert "\u202e" not in json.dumps(blocks, ensure_ascii=False)
    assert not any("\nApproved" in one.get("text", "") for one in elements(blocks)), "a value stays on its line"
    text = notification(post(about))
    assert "<" not in text
    assert "&lt;!channel&gt;" in text
    assert "\n" not in text


def elements(data: Any) -> list[dict[str, Any]]:
    """Return the elements of rich text."""
    if isinstance(data, list):
        return [one for each in data for one in elements(each)]
    if not isinstance(data, dict):
        return []
    inner = [one for value in data.values() for one in elements(value)]
    return [data, *inner] if data.get("type") in ("text", "user", "link", "date") else inner


@pytest.mark.parametrize(
    ("gate", "options", "expected"),
    [
        ({"arguments": '{"a": 1}'}, (), ["approve", "deny", "deny-reason", "open"]),
        ({"arguments": "{}", "repeats": True}, (), ["approve", "approve-all", "deny", "deny-reason", "open"]),
        ({"arguments": "{}", "repeats": True, "whole": False}, (), ["deny", "deny-reason", "open"]),
        ({"arguments": "x" * 8_999}, (), ["approve", "deny", "deny-reason", "open"]),
        ({"arguments": "x" * 9_001}, (), ["deny", "deny-reason", "open"]),
        ({"arguments": "x" * 900, "whole": False, "size": 70_000}, (), ["deny", "deny-reason", "open"]),
        ({}, ("go on", "halt"), ["option:0", "option:1", "deny", "deny-reason", "open"]),
        ({}, ("x" * 300, "halt"), ["option:0", "option:1", "deny", "deny-reason", "open"]),
        ({"name": "g" * 2_000}, (), ["open"]),
    ],
    ids=[
        "short",
        "a call",
        "a call that is cut",
        "as long as may be",
        "too long",
        "cut",
        "choice",
        "long option",
        "a name too long for a button",
    ],
)
def test_only_what_is_seen_can_be_approved(gate: dict[str, Any], options: tuple[str, ...], expected: list[str]) -> None:
    about = news(**gate)
    blocks = gate_message(post(about, options=options), about, SHOWN)
    assert buttons(blocks) == expected
    assert wrong_blocks(blocks) == ""
    over = about.model_copy(update={"outcome": GateOutcome.TIMED_OUT})
    assert buttons(gate_message(post(over, options=options), over, SHOWN)) == []
    assert buttons(stripped(blocks, "it has ended")) == []


def test_a_question_has_its_options_or_a_dialog() -> None:
    def asked(**more: Any) -> Question:
        return Question(id="q", text=HOSTILE[:200], deadline=WHEN, **more)

    for options, expected in (((), 1), (("a", "b"), 2), (tuple(map(str, range(21))), 1), (("a", "x" * 2_000), 1)):
        question = asked(options=options)
        blocks = question_message(post(question=question), question, Shown())
        assert wrong_blocks(blocks) == ""
        assert len(buttons(blocks)) == expected
        assert question_message(post(question=question, ended="answered: a"), question, Shown())[1:] == []
    fields = {f"f{n}": {"type": "array", "description": "d" * 3_000} for n in range(99)}
    views = [
        dialog(asked(), "{}"),
        dialog(asked(options=tuple(map(str, range(30)))), "{}"),
        dialog(asked(form={"properties": fields}), "{}"),
    ]
    assert [len(view["blocks"]) for view in views] == [2, 2, 41]
    assert views[1]["blocks"][1]["element"]["type"] == "static_select"
    filled = {"f1": {"json": {"value": "[1]"}}, "f2": {"json": {"value": "[1"}}, "f3": {"json": {"value": None}}}
    assert answer_of({**views[2], "state": {"values": filled}}) == (
        '{"f1": [1]}',
        {"f2": "Write JSON, a text in quotes"},
    )


def test_the_dialogs_of_a_gate_keep_slacks_limits_whatever_the_arguments() -> None:
    arguments = {f"{HOSTILE}{n}"[-99:]: "https://bank.example/x" for n in range(30)}
    many = {"amount": 5, "": 1, "n" * 101: 1} | arguments
    gate = news(arguments=json.dumps(many), repeats=True).gate
    view = bounds_dialog(gate, "{}")
    assert wrong_view(view) == ""
    fields = [each["block_id"] for each in view["blocks"] if each["type"] == "input"]
    assert (fields[:2], len(fields), fields[-1]) == (["bound:amount", "most:amount"], 20, "reason")
    assert wrong_view(reason_dialog(gate, "{}")) == ""
    assert "\u202e" not in json.dumps(view["blocks"][0], ensure_ascii=False)


def test_the_bounds_in_a_dialog_are_read_and_what_is_wrong_is_named_by_its_field() -> None:
    def sent(**fields: Any) -> dict[str, Any]:
        return {"state": {"values": fields}}

    same = {"choice": {"selected_option": {"value": "same"}}}
    assert bounds_of(sent(**{"bound:to": same, "most:n": {"number": {"value": "7.5"}}, "most:m": {"number": {}}})) == (
        Bounds(same=("to",), at_most={"n": 7.5}),
        {},
    )
    assert bounds_of(sent()) == (Bounds(), {})
    for value, why in (
        ("1e999", "is not a number"),
        ("nan", "is not a number"),
        ("ten", "Write a number"),
        ([1], "Write"),
    ):
        assert why in bounds_of(sent(**{"most:n": {"number": {"value": value}}}))[1]["most:n"]
    many = sent(**{f"bound:a{n}": same for n in range(11)})
    assert "at most 10" in bounds_of(many)[1]["bound:a0"]
    view = sent(**{"bound:to": same, "most:to": {}, "reason": {}})
    assert field_of(view, "stop_asking.same: 'to' is no argument of pay") == "bound:to"
    assert field_of(view, "stop_asking.at_most: 'to' is 'ann', which is not a number from 0 on") == "most:to"
    assert field_of(view, "gate-1 was decided already") == ""


@pytest.mark.parametrize(
    "state",
    [
        None, [], "x", {"values": "x"}, {"values": {"a": None}}, {"values": {"a": [1]}}, {"values": {"a": {"text": 5}}},
        {"values": {"a": {"json": {"value": 5}}}}, {"values": {"a": {"chosen": {"selected_option": "x"}}}},
        {"values": {"a": {"chosen": {"selected_option": {"value": [1]}}}}}, {"values": {"a": {"text": {"value": {}}}}},
    ],
)  # fmt: skip
def test_a_dialog_of_another_form_holds_nothing(state: Any) -> None:
    assert answer_of({"callback_id": "form", "state": state}) == ("{}", {})
    assert answer_of({"callback_id": "answer", "state": state}) == ("", {"answer": "Write an answer"})
    assert bounds_of({"state": state}) == (Bounds(), {})
    assert reason_of({"state": state}) == ""


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "[" * 9_000])
def test_what_is_no_json_is_sent_back_to_whoever_wrote_it(text: str) -> None:
    view = {"callback_id": "form", "state": {"values": {"a": {"json": {"value": text}}}}}
    assert answer_of(view) == ("{}", {"a": "Write JSON, a text in quotes"})


@pytest.mark.parametrize(
    "payload", ["", "[]", "{}", "1", "[" * 9_000, '{"type": "block_actions", "actions": [1]}', '{"type": []}']
)
def test_what_is_no_click_asks_for_nothing(payload: str) -> None:
    assert read_click(payload) is None


def test_a_card_of_teams_links_to_the_gate_and_reads_no_markdown() -> None:
    notice = Notice(
        workflow_id="a/b c",
        gate="gate-1",
        kind="opened",
        what=HOSTILE,
        deadline=WHEN,
        digest="d" * 64,
        arguments='{"a": "é"}',
    )
    channel = TeamsChannel("https://secret.example/hook", "https://inbox.example")
    (attached,) = channel.message(notice, ("https://ui.example/run", "https://inbox.example"))["attachments"]
    card = attached["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}, (
        "a TextBlock or a FactSet would read Markdown"
    )
    assert [(one["type"], one["title"], one["url"]) for one in card["actions"]] == [
        ("Action.OpenUrl", "Decide", "https://inbox.example/gate?run=a%2Fb%20c&gate=gate-1"),
        ("Action.OpenUrl", "Open in Temporal", "https://ui.example/run"),
    ]
    (question,) = channel.message(notice.model_copy(update={"question": True}), ())["attachments"]
    assert question["content"]["actions"][0]["url"] == "https://inbox.example/run?id=a%2Fb%20c"
    assert "secret" not in str(channel)
    large = channel.message(notice.model_copy(update={"arguments": "é" * 20_000}), ())
    assert len(json.dumps(large, ensure_ascii=False).encode()) <= LARGEST
    assert "the arguments are cut here" in json.dumps(large)
