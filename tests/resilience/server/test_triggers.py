"""Webhooks of others start runs, once for each delivery, and only of who may: with the file of the guide, on a real server."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from outlast.notices.webhook_activities import signed
from tests.guides import files, texts
from tests.resilience.server.serving import Served, served_by

pytestmark = [pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

SECRET = "a secret of sixteen or more"
MORE = """
[triggers.letter]
workflow = "plan"
request.plan = "{{body.plan}}"
"""


@pytest.fixture(scope="module")
def triggered(shared_server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with triggers, beside the shared stack."""
    folder: Path = tmp_path_factory.mktemp("triggers")
    (folder / "triggers.toml").write_text(files(texts()["http"])["triggers.toml"] + MORE)
    settings = {"TRIGGERS_FILE": str(folder / "triggers.toml"), "TRIGGER_SECRETS": f"ticket:{SECRET}"}
    with served_by(shared_server.stack, folder, **settings) as served:
        yield served


def send(served: Served, name: str, body: Any, headers: dict[str, str]) -> httpx2.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **headers}
    return served.client.post(f"{served.url}/triggers/{name}", content=data, headers=given, timeout=60)


def ticket(number: int) -> bytes:
    return json.dumps({"ticket": {"id": number, "subject": "Checkout fails", "author": "ada"}}).encode()


def by_hub(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}


def test_a_signed_delivery_starts_one_run_with_what_it_holds(triggered: Served) -> None:
    body = ticket(7)
    first = send(triggered, "ticket", body, by_hub(body))
    assert (first.status_code, first.json()["id"]) == (201, "ticket-7"), first.text
    again = send(triggered, "ticket", body, signed(SECRET, "d-1", body, time.time()))
    assert (again.status_code, again.json()["run_id"]) == (200, first.json()["run_id"])
    answer = triggered.result("ticket-7")["result"]["answer"]
    assert answer == "Answer to: Find out what is behind this ticket: Checkout fails"


def test_a_token_that_may_start_runs_may_send_too(triggered: Served) -> None:
    plan = {"plan": {"steps": [{"step": "1", "agent": "writer", "input": "Write it."}]}}
    token = {name: {"Authorization": f"Bearer {triggered.tokens[name]}"} for name in ("start", "read")}
    assert send(triggered, "letter", plan, token["read"]).status_code == 403
    assert send(triggered, "letter", plan, {}).status_code == 401
    started = [send(triggered, "letter", plan, token["start"]) for _ in range(2)]
    assert [each.status_code for each in started] == [201, 200]
    run = started[0].json()["id"]
    assert run.startswith("letter-")
    assert triggered.result(run)["result"]["done"] == 1


def test_what_is_forged_old_or_lacks_a_field_starts_nothing(triggered: Served) -> None:
    body, now = ticket(8), time.time()
    forged: list[dict[str, str]] = [
        {},
        by_hub(body, "another secret of sixteen"),
        by_hub(body + b" "),
        signed(SECRET, "d-2", body, now - 400),
        signed(SECRET, "d-2", body, now) | {"webhook-id": "d-3"},
        signed(SECRET, "d-2", body, now) | {"webhook-timestamp": "soon"},
        by_hub(body, "another secret of sixteen") | {"Authorization": f"Bearer {triggered.tokens['ada']}"},
    ]
    for headers in forged:
        refused = send(triggered, "ticket", body, headers)
        assert (refused.status_code, "not signed by the secret" in refused.json()["error"]) == (401, True), headers
    assert send(triggered, "letter", body, by_hub(body)).status_code == 401, "it has no secret"
    lacking = b'{"ticket": {"id": 8}}'
    refused = send(triggered, "ticket", lacking, by_hub(lacking))
    assert (refused.status_code, refused.json()["error"]) == (422, "body.ticket.subject: the body has no such field")
    token = {"Authorization": f"Bearer {triggered.tokens['start']}"}
    assert "plan" in send(triggered, "letter", {"plan": "none"}, token).json()["error"]
    assert send(triggered, "letter", b"[]", token).status_code == 422
    assert send(triggered, "nothing", {}, token).status_code == 404
    assert triggered.ask("GET", "/runs/ticket-8").status_code == 404


def test_a_server_with_a_wrong_file_does_not_start(shared_server: Served, tmp_path: Path) -> None:
    file = tmp_path / "triggers.toml"
    file.write_text('[triggers.a]\nworkflow = "plan"\nrequest.tsk = "x"\n')
    ended = shared_server.stack.run("serve", "--port", "0", TRIGGERS_FILE=str(file))
    assert ended.returncode == 2
    assert "triggers.a.request.tsk: plan has no such field" in ended.stderr
