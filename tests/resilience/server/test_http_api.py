"""The HTTP API on real processes: start, look, decide, cancel, and who may not."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from outlast.approvals.tokens import granted
from outlast.contracts import Plan, PlanRequest, PlanStep
from outlast.server.access import Scope
from tests.processes import running_starter, starter, wait_for
from tests.resilience.server.serving import Served, served_by

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

SECRET = "a secret of thirty-two characters"
OPEN = {"/openapi.json", "/healthz"}
"""What anybody may read: neither says anything of a run."""


def waiting(requester: str = "") -> dict[str, Any]:
    """A plan whose only step waits for a person."""
    step = PlanStep(step="send", agent="writer", input="Send the letter.", confirm=True)
    return dict(PlanRequest(plan=Plan(steps=(step,)), requester=requester).model_dump(mode="json"))


def gate_of(served: Served, run: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return list(served.ask("GET", f"/runs/{run}/gates").json()["waiting"])

    return wait_for(found, "the gate waits")[0]


def test_a_run_is_started_once_by_its_key(served: Served) -> None:
    body = {"agent": "researcher", "task": "Say hello."}
    first = served.start("agent", body, "once")
    assert (first["id"], first["served"]) == ("once", True)
    again = served.ask("POST", "/workflows/agent", body, Idempotency_Key="once")
    assert (again.status_code, again.json()["run_id"]) == (200, first["run_id"])
    other = served.ask("POST", "/workflows/agent", body | {"task": "Something else."}, Idempotency_Key="once")
    assert other.status_code == 409
    assert "use another key" in other.json()["error"]
    ended = served.result("once")
    assert (ended["status"], ended["result"]["answer"]) == ("completed", "Answer to: Say hello.")
    assert [call["agent"] for call in served.ask("GET", "/runs/once/trace").json()["calls"]] == ["researcher"]
    assert "<!doctype html>" in served.ask("GET", "/runs/once/report").text.lower()
    shown = served.ask("GET", "/runs/once").json()
    assert (shown["status"], shown["progress"]["state"]) == ("completed", "completed")
    assert "once" in [run["id"] for run in served.ask("GET", "/runs?limit=100").json()["runs"]]


def test_a_run_that_failed_before_its_first_step_says_why(served: Served) -> None:
    served.start("agent", {"agent": "nobody", "task": "Say hello."}, "unknown-agent")
    where = ("--task-queue", "agents", "-w", "wrong-agent", "--address", served.stack.server.address)
    served.stack.temporal("workflow", "start", "--type", "AgentSessionWorkflow", "--input", '{"agent": 5}', *where)

    with httpx2.Client(base_url=served.url, headers={"Origin": served.url}) as browser:
        signed = browser.post("/signin", data={"who": served.tokens["ada"]})
        assert signed.status_code == 303, signed.text
        for run, kind in (("unknown-agent", "UnknownAgent: no agent"), ("wrong-agent", "InputInvalid: agent: Input")):
            error = served.result(run)["error"]
            assert error.startswith(kind)
            shown = served.ask("GET", f"/runs/{run}").json()
            assert (shown["status"], shown["error"]) == ("failed", error)
            assert f"Failed: {kind}" in browser.get("/run", params={"id": run}).text


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/workflows/agent", {"task": "no agent"}, 422, "agent: Field required"),
        ("/workflows/plan", {"plan": {"steps": "none"}}, 422, "plan"),
        ("/workflows/agent", {"agent": "a", "task": "t", "gates": {"opened": 5}}, 422, "gates"),
        (
            "/workflows/nothing",
            {},
            404,
            "there is no workflow 'nothing' that can be started; there are agent, consensus",
        ),
        ("/runs/nobody/cancel", {}, 404, "there is no run 'nobody'"),
        ("/runs/no%2Fbody/cancel", {}, 404, "there is no run 'no/body'"),
        ("/runs/nobody/messages", {"text": "hello"}, 404, "name the agent"),
        ("/runs/nobody/gates/gate-1", {"verdict": "approve"}, 422, "digest: Field required"),
    ],
)
def test_what_is_wrong_is_named(served: Served, path: str, body: Any, status: int, said: str) -> None:
    answer = served.ask("POST", path, body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


def test_people_decide_and_the_requester_may_not_approve(served: Served) -> None:
    assert served.start("plan", waiting(), "own", who="ada")["id"] == "own"
    gate = gate_of(served, "own")
    assert gate["requester"] == "ada"
    approve = {"verdict": "approve", "digest": gate["digest"]}
    own = served.ask("POST", f"/runs/own/gates/{gate['name']}", approve)
    assert own.status_code == 409
    assert "asked for it" in own.json()["error"] or "may not" in own.json()["error"]
    claimed = served.ask("POST", f"/runs/own/gates/{gate['name']}", approve | {"by": "bob"})
    assert claimed.status_code == 403
    assert "token of ada" in claimed.json()["error"]
    stale = served.ask("POST", f"/runs/own/gates/{gate['name']}", approve | {"digest": "0" * 12}, who="decide")
    assert stale.status_code == 409
    for stands, code, why in (
        ({"max": 5}, 422, "stop_asking.max: there is no such bound"),
        (True, 409, "stop_asking: gate-1 is about nothing that an agent may do again"),
    ):
        wide = served.ask("POST", f"/runs/own/gates/{gate['name']}", approve | {"stop_asking": stands}, who="decide")
        assert (wide.status_code, why in wide.json()["error"]) == (code, True), wide.text
    other = served.ask("POST", f"/runs/own/gates/{gate['name']}", approve, who="decide")
    assert other.status_code == 200, other.text
    assert other.json()["record"]["by"] == "decide"
    assert served.result("own")["result"]["done"] == 1
    for_another = served.ask("POST", "/workflows/plan", waiting("bob"))
    assert for_another.status_code == 403
    assert "scope decide" in for_another.json()["error"]
    served.start("plan", waiting("bob"), "for-bob", who="start")
    assert gate_of(served, "for-bob")["requester"] == "bob"
    denied = served.ask("POST", "/runs/for-bob/gates/gate-1", approve | {"verdict": "deny"}, who="decide")
    assert denied.status_code == 200


def test_a_run_is_cancelled(served: Served) -> None:
    served.start("plan", waiting(), "stopped")
    assert served.ask("GET", "/runs/stopped/result").status_code == 202
    assert served.ask("POST", "/runs/stopped/cancel").json()["asked"] is True
    assert served.result("stopped")["status"] == "cancelled"
    assert served.ask("POST", "/runs/stopped/cancel").json()["asked"] is False


def test_a_call_that_waits_in_place_for_the_content_store_says_so_everywhere(served: Served, tmp_path: Path) -> None:
    stack = served.stack
    content, away = stack.directory / "content", stack.directory / "content.away"
    stack.api.script(hold=True, size=5_000)
    served.start("agent", {"agent": "researcher", "task": "Be patient."}, "patient")
    wait_for(stack.api.hits, "the call is made")
    content.rename(away)
    try:
        stack.api.script(hold=False)
        (wait,) = wait_for(lambda: served.ask("GET", "/runs/patient").json()["waits"], "the call waits")
        assert (wait["activity"], wait["waits_for"], wait["setting"]) == (
            "call_model",
            "the content store",
            "STORE_WAIT",
        )
        assert "mount or restore it" in wait["reason"]
        since, until = (datetime.fromisoformat(wait[name]) for name in ("since", "until"))
        assert timedelta(minutes=59) < until - since <= timedelta(hours=1)
        (seen,) = stack.json("status", "patient")["waits"]
        assert {name: seen[name] for name in ("activity", "waits_for", "reason")} == {
            name: wait[name] for name in ("activity", "waits_for", "reason")
        }
        # A local activity, of which the server does not know, waits as visibly: the run has to keep its agents' prompts.
        (stack.directory / "agents" / "file-clerk.md").touch()
        served.start("agent", {"agent": "file-clerk", "task": "Be patient as well."}, "early")
        (early,) = wait_for(lambda: served.ask("GET", "/runs/early").json()["waits"], "the run waits as it begins")
        assert (early["activity"], early["waits_for"]) == ("await_store", "the content store")
        assert "waiting · await_store · for the content store since " in stack.done("status", "early")
        line = f"waiting · call_model · for the content store since {since:%Y-%m-%d %H:%M:%S}, until "
        assert line in stack.done("status", "patient")
        with running_starter(tmp_path, "watch", "patient", env=stack.env, name="watch") as watching:
            watching.wait_until(lambda: line in watching.output, "the watcher to see it")
            away.rename(content)
            assert watching.wait(60) == 0, watching.output
            assert watching.output.count("for the content store") == 1
    finally:
        if away.exists():
            away.rename(content)
    assert served.ask("GET", "/runs/patient").json()["waits"] == []
    assert served.result("early")["status"] == "completed"
    assert len(stack.api.hits()) == 2


def test_a_large_text_is_handed_in_by_reference(served: Served) -> None:
    kept = httpx2.put(
        f"{served.url}/contents",
        content=b"Cyclists complain about potholes.",
        headers={"Authorization": f"Bearer {served.tokens['start']}", "Content-Type": "text/plain"},
    ).json()
    source = {"name": "notes.txt", "ref": kept["ref"], "size": kept["size"]}
    served.start("document", {"documents": [source]}, "handed-in")
    assert served.result("handed-in")["status"] == "completed"


def test_each_route_needs_its_scope(served: Served) -> None:
    document = served.ask("GET", "/openapi.json", who="").json()
    routes = [
        (method.upper(), path, operation["x-scope"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "security" not in operation
    ]
    assert served.ask("POST", "/slack/actions").status_code == 401, "Slack has no token, but a signature"
    assert len(routes) >= 22
    for method, path, needed in routes:
        url = re.sub(r"{\w+}", "x", path)
        assert served.ask(method, url, who="").status_code == 401, (method, path)
        for scope in Scope:
            status = served.ask(method, url, who=str(scope)).status_code
            if scope != needed:
                assert status == 403, (method, path, scope)
            else:
                assert status not in (401, 403), (method, path, scope)
    for path in OPEN:
        assert served.ask("GET", path, who="").status_code == 200
    unknown = httpx2.get(f"{served.url}/runs", headers={"Authorization": "Bearer outlast_made-up"})
    assert unknown.status_code == 401
    assert unknown.headers["www-authenticate"] == "Bearer"


def test_other_hosts_and_pages_of_others_are_refused(served: Served) -> None:
    assert served.ask("GET", "/runs", Host="evil.example").status_code == 421
    assert served.ask("POST", "/runs/x/cancel", Origin="http://evil.example").status_code == 403
    headers = {"Authorization": f"Bearer {served.tokens['ada']}", "Content-Type": "text/plain"}
    assert httpx2.post(f"{served.url}/runs/x/cancel", content="{}", headers=headers).status_code == 415
    for method in ("GET", "OPTIONS"):
        assert "access-control-allow-origin" not in served.ask(method, "/runs", Origin="http://evil.example").headers


def test_decisions_are_signed_where_there_is_a_secret(served: Served, tmp_path: Path) -> None:
    """A server with the approvers' secret takes decisions of approvers alone, whichever token a program has; and its limits."""
    settings = {"APPROVER_SECRET": SECRET, "SERVE_RATE": "12", "SERVE_ORIGINS": "https://app.example.org"}
    with served_by(served.stack, tmp_path, **settings) as strict:
        strict.start("plan", waiting(), "signed")
        gate = gate_of(served, "signed")
        path, approve = f"/runs/signed/gates/{gate['name']}", {"verdict": "approve", "digest": gate["digest"]}
        unsigned = strict.ask("POST", path, approve, who="decide")
        assert (unsigned.status_code, unsigned.headers["www-authenticate"]) == (401, "Approver-Token")
        token = granted(SECRET, "bob", datetime.now(UTC), timedelta(hours=1))
        forged = strict.ask("POST", path, approve, who="decide", Approver_Token=token[:-2] + "xx")
        assert forged.status_code == 401
        record = strict.ask("POST", path, approve, who="decide", Approver_Token=token).json()
        # This stack's workers have no secret, so the run takes no signature for proven.
        assert "error" in record or record["record"]["by"] == "bob"
        asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
        allowed = httpx2.options(f"{strict.url}/workflows/plan", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example.org"
        seen = [strict.ask("GET", "/runs?limit=1", who="read") for _ in range(14)]
        assert [answer.status_code for answer in seen[:12]] == [200] * 12
        assert seen[-1].status_code == 429
        assert 1 <= int(seen[-1].headers["retry-after"]) <= 6


def test_other_addresses_need_tokens(served: Served) -> None:
    library = "tests/doubles/outlast_command.py"  # knows no workflow that could be started, and says so
    refused = starter("serve", "--host", "0.0.0.0", "--port", "0", env=served.stack.env, program=library)
    assert refused.returncode == 2
    assert "name yours with --workflow module:Class" in refused.stderr
    assert "without SERVE_TOKENS and APPROVER_SECRET anybody could use it" in refused.stderr
    behind_a_proxy = served.stack.run("serve", "--name", "api.example.org", "--port", "0")
    assert (behind_a_proxy.returncode, "--name api.example.org: without" in behind_a_proxy.stderr) == (2, True)
    made = served.stack.run("serve-token", "web", "--scope", "start", "--scope", "read")
    token, entry = made.stdout.strip(), made.stderr.strip().splitlines()[-1]
    assert token.startswith("outlast_")
    assert re.fullmatch(r"web:start\+read:[0-9a-f]{64}", entry)
    assert token not in entry
    wrong = served.stack.run("serve", "--port", "0", SERVE_TOKENS="web:everything:123")
    assert wrong.returncode == 2
    assert "SERVE_TOKENS: token 1 must be NAME:SCOPES:SHA256" in wrong.stderr
