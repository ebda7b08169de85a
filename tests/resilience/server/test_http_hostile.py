"""What people get wrong and what others try on purpose: it is refused by name, or it changes nothing."""

import json
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.processes import wait_for
from tests.resilience.server.serving import Served

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

STEP = {"step": "send", "agent": "writer", "input": "Send the letter.", "confirm": True}
PLAN = {"plan": {"steps": [STEP]}}


def post(served: Served, path: str, body: Any, **headers: Any) -> httpx2.Response:
    given = {"Authorization": f"Bearer {served.tokens['ada']}", "Content-Type": "application/json"}
    sent = [*given.items(), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return served.client.post(served.url + path, content=body, headers=sent, timeout=60)


def gate_of(served: Served, run: str) -> dict[str, Any]:
    return dict(wait_for(lambda: served.ask("GET", f"/runs/{run}/gates").json()["waiting"], "the gate waits")[0])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {**PLAN, "gate": {"approvers": ["ada"]}},
            "gate.approvers: there is no such field; known are needed, eligible",
        ),
        ({**PLAN, "gates": {"needed": 2}}, "gates: there is no such field; known are budget, gate"),
        ({"plan": {"steps": [{**STEP, "confrim": True}]}}, "plan.steps.0.confrim: there is no such field"),
        ({"plan": {"steps": [{**STEP, "gate": {"eligble": ["ada"]}}]}}, "plan.steps.0.gate.eligble: there is no such"),
    ],
)
def test_a_policy_that_is_misspelt_starts_nothing(served: Served, body: Any, said: str) -> None:
    refused = served.ask("POST", "/workflows/plan", body, Idempotency_Key="misspelt")
    assert (refused.status_code, said in refused.json()["error"]) == (422, True), refused.text
    assert served.ask("GET", "/runs/misspelt").status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"task": "\\ud800"}', 400, "the body is not JSON"),
        (b'{"plan": {"steps": [{"step": "1", "agent": "a", "input": "\\ud800"}]}}', 400, "hex escape"),
        (b'{"task": "x", "result_schema": ' + b'{"a":' * 900 + b"1" + b"}" * 901, 400, "recursion limit"),
        (b'{"task": "x", "budget": {"usd": 1e999}}', 422, "budget.usd: Input should be a finite"),
    ],
)
def test_a_body_that_no_history_can_hold_is_refused(served: Served, body: bytes, status: int, said: str) -> None:
    refused = post(served, "/workflows/plan", body)
    assert (refused.status_code, said in refused.json()["error"]) == (status, True), refused.text


def test_who_sends_too_much_hears_why(served: Served) -> None:
    for body in (b"x" * (3 << 20), iter([b"x" * (1 << 20)] * 3)):  # the second without a length
        refused = post(served, "/contents", body)
        assert (refused.status_code, refused.json()["error"]) == (413, "the body has more than 2048 kB; send less")


@pytest.mark.parametrize("key", ["ünï", "日本語", "a/b c?d#e%2F", "\U0001f389", "x" * 1000])
def test_a_key_is_the_id_of_its_run_in_any_script(served: Served, key: str) -> None:
    body = json.dumps({"agent": "researcher", "task": "Say hello."}).encode()
    first = post(served, "/workflows/agent", body, Idempotency_Key=key.encode())
    assert (first.status_code, first.json()["id"]) == (201, key), first.text
    again = post(served, f"/workflows/agent?id={quote(key, safe='')}", body)
    assert (again.status_code, again.json()["run_id"]) == (200, first.json()["run_id"])
    assert served.ask("GET", f"/runs/{quote(key, safe='')}").json()["id"] == key


@pytest.mark.parametrize("session", ["a\nb", "a\0b", " ", "x" * 1001, "temporal-sys-x"])
def test_no_session_begins_under_an_id_that_nobody_could_ask_for(served: Served, session: str) -> None:
    path = f"/runs/{quote(session, safe='')}/messages"
    refused = served.ask("POST", path, {"agent": "researcher", "text": "Hello"})
    assert refused.status_code in (404, 422), refused.text
    assert session not in [run["id"] for run in served.ask("GET", "/runs").json()["runs"]]


def test_odd_origins_and_names_are_refused_and_break_nothing(served: Served) -> None:
    for origin in ("http://[evil", "null", "//", "https://127.0.0.1.evil.example"):
        assert post(served, "/workflows/plan", b"{}", Origin=origin).status_code == 403, origin
    listed = served.ask("GET", "/runs?type=a%00b")
    assert (listed.status_code, "write a command that starts runs" in listed.json()["error"]) == (422, True)


def test_times_that_never_come_wedge_no_run(served: Served) -> None:
    policy = {"remind_every": 1e300, "escalate_after": 1e12, "escalate_to": ["boss"], "deadline": 600}
    served.start("plan", {**PLAN, "gate": policy}, "never", who="start")
    gate = gate_of(served, "never")
    deep = b'{"verdict": "approve", "digest": "%s", "edit": %s}' % (
        gate["digest"].encode(),
        b'{"a":' * 900 + b"1" + b"}" * 900,
    )
    assert post(served, "/runs/never/gates/gate-1", deep).status_code == 400
    taken = served.ask("POST", "/runs/never/gates/gate-1", {"verdict": "approve", "digest": gate["digest"]})
    assert taken.status_code == 200, taken.text
    assert served.result("never")["status"] == "completed"


def test_who_follows_a_run_that_is_reset_sees_the_gate_of_the_new_one(served: Served) -> None:
    served.start("plan", PLAN, "anew", who="start")
    gate_of(served, "anew")
    seen = list(served.events("anew", most=2))
    served.stack.temporal("workflow", "reset", "-w", "anew", "--type", "FirstWorkflowTask", "--reason", "a test")
    last = [event["id"] for event in seen if "id" in event][-1]
    told = list(served.events("anew", after=last))  # until what was followed is over
    assert [event["event"] for event in told if "id" in event] == ["run_ended"]
    last = [event["id"] for event in told if "id" in event][-1]
    told = [event for event in served.events("anew", after=last, most=2) if "id" in event]
    assert [(event["event"], event["data"].get("kind")) for event in told] == [
        ("run_started", None),
        ("gate", "opened"),
    ]
    served.ask("POST", "/runs/anew/cancel")


def test_what_is_temporal_s_own_is_no_run(served: Served) -> None:
    """A schedule is a workflow, too: cancelled, it starts nothing any more, and says nothing of it."""
    stack = served.stack
    stack.done("schedule", "add", "ours", "--cron", "@yearly", "--", "agent", "researcher", "Say hello.")
    own = "temporal-sys-scheduler:ours"
    assert "ours" in stack.temporal("workflow", "describe", "--workflow-id", own)
    assert [served.ask(*each).status_code for each in (("GET", f"/runs/{own}"), ("POST", f"/runs/{own}/cancel"))] == [
        404,
        404,
    ]
    key = served.ask("POST", "/workflows/plan", {"task": "x"}, Idempotency_Key="temporal-sys-scheduler:theirs")
    assert (key.status_code, "are Temporal's own" in key.json()["error"]) == (422, True)
    assert f"there is no run '{own}'" in stack.run("cancel", own).stderr
    assert "started ours-20" in stack.done("schedule", "trigger", "ours")
    stack.done("schedule", "delete", "ours")


def test_no_message_lets_a_delayed_run_begin_early(served: Served) -> None:
    for run, command in (
        ("later-plan", ("plan", "Compare tea and coffee")),
        ("later-agent", ("agent", "researcher", "Hi.")),
    ):
        served.stack.done(*command, "--delay", "2h", "--id", run, "--detach")
    sent = [
        served.ask("POST", "/runs/later-plan/gates/gate-1", {"verdict": "approve", "digest": "a" * 12}),
        served.ask("POST", "/runs/later-plan/answers", {"answer": "yes"}),
        served.ask("POST", "/runs/later-agent/messages", {"text": "now"}),
        served.ask("POST", "/runs/later-agent/end"),
    ]
    told = [(each.status_code, "has done nothing yet" in each.json()["error"]) for each in sent]
    assert told == [(409, True)] * 4, [each.text for each in sent]
    assert served.stack.api.hits() == []
    for run in ("later-plan", "later-agent"):
        assert served.ask("GET", f"/runs/{run}/trace").json()["calls"] == []
        assert served.ask("POST", f"/runs/{run}/cancel").json()["asked"] is True
        assert served.result(run)["status"] == "cancelled"
