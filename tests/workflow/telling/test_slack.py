"""Gates in Slack, against a double of its API: a message with buttons, a click at the HTTP API, the run goes on."""

import asyncio
import json
import time
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowHandle

from outlast.contracts import GatePolicy, PlanResult
from outlast.server.slack import acting, receiving
from tests.doubles.slack import CHANNEL, Failure, Slack, form, signed
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import Job, waiting
from tests.workflow.people.steering import status_when
from tests.workflow.people.test_gated_actions import confirmed
from tests.workflow.telling.clicking import ADA, BOB, CYD, EVE, Desk, desk_of, outcomes
from tests.workflow.undo.rolling_back import PLAN

SECRET = "a secret of thirty-two characters"


async def test_a_click_decides_and_the_message_says_so(real_runner: Runner, slack: Slack) -> None:
    """The whole way with the worker of the application: two gates in one thread, and clicks of those who may not."""
    async with desk_of(real_runner, slack) as desk:
        ours = Runner(real_runner.env, desk.settings, real_runner.store)
        request = confirmed(requester="ada")
        steps = tuple(each.model_copy(update={"confirm": each.step != "look"}) for each in request.plan.steps)  # type: ignore[union-attr]
        request = request.model_copy(update={"plan": request.plan.model_copy(update={"steps": steps})})  # type: ignore[union-attr]
        async with ours.worker(lambda _: "said"):
            handle = await ours.start(PLAN, request)
            await desk.until(lambda: slack.buttons("gate-1"))
            first, message = slack.message("gate-1")
            assert "thread_ts" not in message
            assert (message["channel"], message["mrkdwn"], message["parse"]) == (CHANNEL, False, "none")
            assert (await desk.click(ADA, "gate-1", "Approve")).status_code == 200
            assert (await desk.click(EVE, "gate-1", "Approve")).status_code == 200
            assert [member for member, _ in desk.told] == [ADA, EVE]
            assert "may not approve" in desk.told[0][1] or "asked for it" in desk.told[0][1]
            assert f"{EVE}:NAME to SLACK_USERS" in desk.told[1][1]
            assert slack.asked("chat.postEphemeral")[0]["thread_ts"] == first
            old = slack.clicked(BOB, "gate-1", "Approve")
            assert (await desk.send(old)).status_code == 200
            await desk.until(lambda: slack.buttons("gate-2"))
            assert "approved by bob" in outcomes(slack)[0]
            second = slack.message("gate-2 opened")[1]
            assert (second["thread_ts"], second["reply_broadcast"]) == (first, True)
            assert not slack.buttons("gate-1 approved")
            await desk.click(BOB, "gate-2", "Deny")
            result: PlanResult = await handle.result()
            assert (result.done, result.failed) == (2, 1)
            assert "denied by bob" in outcomes(slack)[1]
            await desk.send(old | {"trigger_id": "another"})
            assert "has ended already (completed)" in desk.told[-1][1]
            assert [len(slack.asked("chat.postMessage")), len(slack.messages)] == [2, 2]


async def test_all_rules_of_gates_hold_for_clicks(desk: Desk) -> None:
    """N of M, twice is once, nobody else, and an action that was edited after it was shown."""
    slack = desk.slack
    async with desk.gated():
        handle = await desk.start(Job(policy=GatePolicy(needed=2, eligible=("bob", "cyd", "dan", "eli"))))
        await desk.until(lambda: slack.buttons("gate-1"))
        assert f'"user_id": "{BOB}"' in json.dumps(slack.message("gate-1")[1]), "whose turn it is, is mentioned"
        stale = slack.clicked(CYD, "gate-1", "Approve")
        await asyncio.gather(*(desk.click(BOB, "gate-1", "Approve") for _ in range(2)))
        await desk.until(lambda: "given by bob" in json.dumps(slack.message("gate-1")[1]))
        assert sorted(text.partition(":")[2].split()[0] for _, text in desk.told) == ["counted", "duplicate"]
        await desk.click(ADA, "gate-1", "Deny")
        assert "ada may not decide" in desk.told[-1][1]
        edit = {"verdict": "approve", "by": "dan", "edit": {"amount": 7}}
        await handle.execute_update("decide", edit)
        await desk.until(lambda: '"amount\\": 7' in json.dumps(slack.message("gate-1")[1]).replace("\\\\", "\\"))
        await desk.send(stale)
        assert "it was edited since" in desk.told[-1][1]
        await desk.click(BOB, "gate-1", "Approve")
        await desk.click(CYD, "gate-1", "Approve")
        assert (await handle.result()).paid == (7,)
    assert "approved by bob, cyd" in outcomes(slack)[0]
    assert len(slack.messages) == 1


async def continued(handle: WorkflowHandle[Any, Any], first: str) -> bool:
    """Whether a run has continued as new."""
    return (await handle.describe()).run_id != first


async def signals(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether the newest run of an id was sent a signal."""
    return any(
        [e.HasField("workflow_execution_signaled_event_attributes") async for e in handle.fetch_history_events()]
    )


async def test_a_click_outlasts_dead_workers_and_continuing_as_new(
    real_runner: Runner, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With signed decisions: the server vouches for whom Slack's signature has proven, also to a worker that comes back later."""
    monkeypatch.setattr(receiving, "ACKNOWLEDGED", 20)  # of a machine that does much else
    monkeypatch.setattr(acting, "ANSWERS_WITHIN", 0.5)
    async with desk_of(real_runner, slack, approver_secret=SecretStr(SECRET)) as desk:
        async with desk.gated(SECRET):
            handle = await desk.start(Job(rolls=True, gates=2))
            await desk.until(lambda: slack.buttons("gate-1"))
            await handle.signal("roll")
            rolled = desk.client.get_workflow_handle(handle.id)
            await desk.until_true(lambda: continued(rolled, handle.first_execution_run_id or ""))
            await waiting(rolled)
            thread = slack.message("gate-1")[0]
        payload = slack.clicked(BOB, "gate-1", "Approve")
        click = asyncio.create_task(desk.send(payload))
        await desk.until_true(lambda: signals(rolled))
        async with desk.gated(SECRET):
            assert (await click).status_code == 200
            await desk.until(lambda: slack.buttons("gate-2"))
            assert "gate-1: sent; no worker answers now" in desk.told[0][1]
            first, second = slack.messages.items()
            assert (first[0], second[1]["thread_ts"]) == (thread, thread)
            assert "approved by bob" in outcomes(slack)[0]
            await handle.terminate()
        await desk.click(BOB, "gate-2", "Approve")
        assert "has ended already (terminated)" in desk.told[-1][1]
        assert not slack.buttons("gate-2"), "buttons that are of no use are taken away"


async def test_what_slack_refuses_is_shown_and_holds_nothing_up(desk: Desk) -> None:
    slack = desk.slack
    slack.fails(
        "chat.postMessage",
        Failure({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "1"}),
        Failure(status=500, headers={"Retry-After": "1"}, takes=True),
    )
    async with desk.gated():
        handle = await desk.start(Job())
        began = time.monotonic()
        await desk.until(lambda: slack.buttons("gate-1"))
        assert time.monotonic() - began > 0.9, "it waited as long as it was told"
        await desk.until(lambda: slack.asked("conversations.history")[1:])
        assert len(slack.messages) == 1, "the message whose answer was lost is found again"
        await desk.click(BOB, "gate-1", "Approve")
        assert (await handle.result()).paid == (5,)
        assert "approved by bob" in outcomes(slack)[0]
    async with desk.gated(channel="C0NOWHERE"):
        lost = await desk.start(Job())
        status = await status_when(lost, lambda status: status.notices)
        assert status.gates
        (notice,) = status.notices
        assert "channel_not_found; SLACK_CHANNEL: there is none of this id, or the app is no member of it" in notice
        await lost.signal("deny", "bob")
        await lost.result()
    async with desk.gated(token="xoxb-another"):
        refused = await desk.start(Job())
        status = await status_when(refused, lambda status: status.notices)
        assert "invalid_auth; SLACK_BOT_TOKEN: Slack does not know it" in status.notices[0]
        await refused.signal("deny", "bob")
        await refused.result()


async def test_a_gate_whose_time_runs_out_or_that_is_decided_elsewhere_changes_its_message(desk: Desk) -> None:
    slack = desk.slack
    async with desk.gated():
        late = await desk.start(Job(policy=GatePolicy(deadline=2.2, remind_every=1)))
        stopped = await desk.start(Job())
        await desk.until(lambda: len(slack.messages) >= 2)
        await stopped.cancel()
        await late.result()
        await desk.until(lambda: len(outcomes(slack)) == 2)
        shown = " ".join(outcomes(slack))
        assert "timed out: nobody decided in time" in shown
        assert "cancelled: the run was cancelled" in shown
        reminders = [each for each in slack.messages.values() if "decide above in this thread" in json.dumps(each)]
        assert reminders
        assert all(each["thread_ts"] and each["reply_broadcast"] for each in reminders)
    deleted, _ = slack.message("cancelled")
    assert deleted


async def test_what_slack_did_not_sign_is_refused(desk: Desk) -> None:
    body = form({"type": "block_actions", "user": {"id": BOB}, "actions": []})
    right = signed(body)
    wrong = {
        "another secret": signed(body, "another secret of Slack's"),
        "old": signed(body, at=time.time() - 301),
        "from tomorrow": signed(body, at=time.time() + 301),
        "no signature": {k: v for k, v in right.items() if k != "X-Slack-Signature"},
        "no time": {k: v for k, v in right.items() if k != "X-Slack-Request-Timestamp"},
        "a time that is none": right | {"X-Slack-Request-Timestamp": "soon"},
        "a body that was changed": signed(body + b"&a=b"),
        "another version": right | {"X-Slack-Signature": right["X-Slack-Signature"].replace("v0=", "v1=")},
        "no text": signed(b"payload=%7B") | {"X-Slack-Signature": "v0=\xe9"},
    }
    for name, headers in wrong.items():
        answer = await desk.http.post(
            "/slack/actions", content=body, headers=[(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        )
        assert (answer.status_code, "not signed" in answer.json()["error"]) == (401, True), name
    assert (await desk.http.post("/slack/actions", content=body, headers=right)).status_code == 200
    again = await desk.http.post("/slack/actions", content=body, headers=right)
    assert (again.status_code, "came before" in again.json()["error"]) == (401, True)
    for odd in (b"", b"payload=[]", b"payload=%FF", b"other=1", b"payload=" + b"[" * 100_000, b"\xff\xfe"):
        answer = await desk.http.post(
            "/slack/actions", content=odd, headers=signed(odd) if odd != b"\xff\xfe" else right
        )
        assert answer.status_code in (200, 401, 422), (odd[:20], answer.text)
    assert desk.slack.calls == []
