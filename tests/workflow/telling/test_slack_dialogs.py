"""Dialogs of Slack, against a double of its API: answers to questions, the reason of a denial, the bounds of an approval."""

import json
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowQueryFailedError

from outlast.server.operations import http_error
from outlast.server.slack import acting
from tests.doubles.slack import Failure, Slack, form, signed
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import Job, waiting_at
from tests.workflow.telling.asking import Asking
from tests.workflow.telling.clicking import ADA, BOB, CYD, Desk, desk_of, outcomes

SECRET = "a secret of thirty-two characters"
FURTHER, WHY = "Approve, and stop asking…", "Deny with a reason…"


async def test_an_approval_is_bounded_and_a_denial_says_why_in_a_dialog(real_runner: Runner, slack: Slack) -> None:
    """With signed decisions: what the server vouches for covers the bounds as well."""
    async with desk_of(real_runner, slack, approver_secret=SecretStr(SECRET)) as desk, desk.gated(SECRET):
        handle = await desk.start(Job(amounts=(5, 7, 20, 8), requester="ada"))
        await desk.until(lambda: slack.buttons("gate-1"))
        assert list(slack.buttons("gate-1")) == ["Approve", FURTHER, "Deny", WHY, "Open"]
        await desk.click(ADA, "gate-1", FURTHER)
        assert "ada asked for it" in desk.told[-1][1]
        assert not slack.asked("views.open"), "nobody fills in what will be refused"
        await desk.click(BOB, "gate-1", FURTHER)
        view = slack.asked("views.open")[-1]["view"]
        assert [each["block_id"] for each in view["blocks"] if each["type"] == "input"] == [
            "bound:amount",
            "most:amount",
            "reason",
        ]
        assert '"amount\\": 5' in json.dumps(view["blocks"]), "what is approved is what is seen"
        for wrong, why in (("3", "more than 3"), ("ten", "Write a number"), ("-1", "is not a number from 0 on")):
            answer = await desk.send(slack.submitted(BOB, most("amount", wrong)))
            assert answer.json()["response_action"] == "errors"
            assert why in answer.json()["errors"]["most:amount"]
        right = slack.submitted(BOB, most("amount", "10") | {"reason": {"text": {"value": "small\nones"}}})
        body = form(right)
        forged = await desk.http.post("/slack/actions", content=body, headers=signed(body, "another secret of Slack's"))
        assert (forged.status_code, len(outcomes(slack))) == (401, 0)
        assert (await desk.send(right)).content == b"", "the dialog closes"
        await waiting_at(handle, "gate-2")
        assert desk.told[-1][1].endswith(
            "from here on every call of pay with amount at most 10 is approved in this run"
        )
        assert "approved by bob: small ones" in outcomes(slack)[0]
        await desk.until(lambda: slack.buttons("gate-2"))
        slack.fails("views.open", Failure({"ok": False, "error": "expired_trigger_id"}))
        await desk.click(CYD, "gate-2", WHY)
        assert "Slack waits three seconds for it" in desk.told[-1][1]
        await desk.click(CYD, "gate-2", WHY)
        await desk.send(slack.submitted(CYD, {"reason": {"text": {"value": "too dear"}}}))
        assert (await handle.result()).paid == (5, 7, 8)
        assert "denied by cyd: too dear" in outcomes(slack)[1]


async def test_what_was_decided_or_edited_meanwhile_is_said_and_nothing_is_sent(desk: Desk) -> None:
    slack = desk.slack
    async with desk.gated():
        handle = await desk.start(Job(amounts=(5, 20)))
        await desk.until(lambda: slack.buttons("gate-1"))
        stale = {name: slack.clicked(BOB, "gate-1", name) for name in (FURTHER, WHY)}
        await desk.send(stale[FURTHER])
        filled = slack.submitted(BOB, most("amount", "100"))
        await handle.execute_update("decide", {"verdict": "approve", "by": "dan", "edit": {"amount": 6}})
        assert (await desk.send(filled)).content == b""
        assert "it was edited since" in desk.told[-1][1]
        await desk.send(stale[WHY])
        assert "gate-1: it was edited since" in desk.told[-1][1]
        await handle.signal("approve", {"by": "cyd"})
        await waiting_at(handle, "gate-2")
        await desk.send(filled | {"trigger_id": "another"})
        assert "gate-1" in desk.told[-1][1]
        assert "approved" in desk.told[-1][1]
        await desk.send(stale[WHY] | {"trigger_id": "another"})
        assert desk.told[-1][1] == "gate-1 is not open any more; nothing was sent."
        assert len(slack.asked("views.open")) == 1
        await handle.signal("deny", "bob")
        assert (await handle.result()).paid == (6,)
        await desk.send(filled | {"trigger_id": "a third"})
        assert "has ended already" in desk.told[-1][1]


def most(name: str, amount: str) -> dict[str, Any]:
    return {f"most:{name}": {"number": {"type": "number_input", "value": amount}}}


async def test_questions_are_answered_by_buttons_dialogs_and_forms(desk: Desk) -> None:
    slack = desk.slack
    fields = {
        "name": {"type": "string", "title": "Who", "maxLength": 20},
        "days": {"type": "integer"},
        "kind": {"enum": ["sick", "holiday"]},
        "paid": {"type": "boolean"},
    }
    async with desk.gated():
        chosen = await desk.start(Asking(text="Which one?", options=("the <!channel> one", "x" * 80)))
        await desk.until(lambda: slack.buttons("Which one?"))
        await desk.click(BOB, "Which one?", "the <!channel> one")
        assert (await chosen.result()).answer == "the <!channel> one"
        assert "answered: the <!channel> one" in json.dumps(slack.message("Which one?")[1]["blocks"])
        assert "<!channel>" not in slack.message("Which one?")[1]["text"]

        typed = await desk.start(Asking(text="What else?"))
        await desk.until(lambda: slack.buttons("What else?"))
        await desk.click(BOB, "What else?", "Answer…")
        empty = await desk.send(slack.submitted(BOB, {"answer": {"text": {"type": "plain_text_input", "value": " "}}}))
        assert empty.json() == {"response_action": "errors", "errors": {"answer": "Write an answer"}}
        await desk.send(slack.submitted(BOB, {"answer": {"text": {"type": "plain_text_input", "value": "Nothing"}}}))
        assert (await typed.result()).answer == "Nothing"

        gate = await desk.start(Asking(text="Left or right", options=("left", "right"), as_gate=True))
        await desk.until(lambda: slack.buttons("Left or right"))
        assert list(slack.buttons("Left or right")) == ["left", "right", "Deny", WHY, "Open"]
        await desk.click(BOB, "Left or right", "right")
        assert (await gate.result()).answer == "right"
        assert "approved by bob" in json.dumps(slack.message("Left or right")[1])

        schema = {"properties": fields, "required": ["name"]}
        filled = await desk.start(Asking(text=f"How long? {'Say. ' * 100}", form=schema, wrong="Eve"))
        await desk.until(lambda: slack.buttons("How long?"))
        await desk.click(BOB, "How long?", "Answer…")
        blocks = {each.get("block_id"): each for each in slack.asked("views.open")[-1]["view"]["blocks"]}
        assert (blocks["name"]["label"]["text"], blocks["name"]["optional"], blocks["days"]["optional"]) == (
            "Who",
            False,
            True,
        )
        values = {
            "name": {"text": {"value": "Bob"}},
            "days": {"json": {"value": "3"}},
            "kind": {"chosen": {"selected_option": blocks["kind"]["element"]["options"][1]}},
            "paid": {"chosen": {"selected_option": None}},
        }
        wrong = slack.submitted(BOB, values | {"name": {"text": {"value": "Eve"}}})
        assert (await desk.send(wrong)).status_code == 200
        await desk.until(lambda: len([one for one in slack.messages.values() if "How long?" in one["text"]]) == 2)
        await desk.click(BOB, "How long?", "Answer…")
        answer = slack.submitted(BOB, values)
        assert (await desk.send(answer)).status_code == 200
        assert json.loads((await filled.result()).answer or "") == {"name": "Bob", "days": 3, "kind": "holiday"}
        await desk.send(answer | {"trigger_id": "another"})
        assert "has ended already" in desk.told[-1][1]


async def test_an_answer_to_a_run_that_cannot_be_looked_at_is_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As while its task fails, and somebody deploys what it needs."""

    async def fails(*given: Any) -> None:
        raise WorkflowQueryFailedError("its task fails")

    async with desk.gated():
        chosen = await desk.start(Asking(text="Which one?", options=("this", "that")))
        await desk.until(lambda: desk.slack.buttons("Which one?"))
        monkeypatch.setattr(acting, "_asked", fails)
        assert (await desk.click(BOB, "Which one?", "that")).status_code == 200
        assert (await chosen.result()).answer == "that"
    refusal = http_error(WorkflowQueryFailedError("its task fails"))
    assert refusal is not None
    assert refusal.status == 503
