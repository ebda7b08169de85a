"""The guide to the HTTP API is true: its commands are typed, its programs run, against a real server, worker and stack."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from outlast.notices.webhook_activities import signed
from outlast.server.access import Scope, new_token
from tests.forked import ForkedProcess
from tests.guides import commands, files, texts
from tests.processes import PROJECT, RealProcess, free_port, wait_for
from tests.stacks import Stack

pytestmark = [pytest.mark.xdist_group("starter"), pytest.mark.timeout(180)]

TEXT = texts()["http"]
SECRET = "a secret of thirty-two characters"


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder with the programs of the guide, and the workflow of the README; the server has triggers in a test of their own."""
    for name, text in (files(TEXT) | {"triage.py": files(texts()["README"])["triage.py"]}).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "triggers.toml").unlink()
    (tmp_path / "starter.py").symlink_to(PROJECT / "starter.py")
    return tmp_path


def typed(command: str, stack: Stack, folder: Path) -> str:
    paths = f"{Path(sys.executable).parent}{os.pathsep}{stack.env['PATH']}"
    env = stack.env | {"PATH": paths, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_a_reader_starts_a_run_decides_and_follows_it(stack: Stack, reader: Path) -> None:
    serve, *asking, token = commands("http")
    assert serve == "python starter.py serve"
    port = str(free_port())
    process = ForkedProcess(command=["starter.py", "serve", "--port", port], log=reader / "serve.log", env=stack.env)
    process.start()
    try:
        process.wait_until(lambda: "server ready" in process.output, "the server is ready")
        url, said = f"http://127.0.0.1:{port}", dict[str, str]()
        for command in asking:
            if "letter-1/gates" in command:
                wait_for(lambda: httpx2.get(f"{url}/runs/letter-1/gates").json()["waiting"], "the gate waits")
            said[command] = typed(command.replace("8288", port), stack, reader)
        shown = [*said.values()]
        assert '"name":"plan"' in shown[0]
        assert json.loads(shown[1])["id"] == "letter-1"
        assert "gate-1: approved by ada" in shown[4]
        assert json.loads(shown[5])["status"] == "completed"
        assert "event: run_ended" in shown[6]
        assert [json.loads(each)["number"] for each in shown[7:9]] == [1, 2]
        assert [one["by"] for one in json.loads(shown[9])["messages"]] == ["ada", "bob"]
        followed = typed(f"python follow.py {url}/runs/letter-1/events", stack, reader)
        assert "call_ended Answer to: Send the letter." in followed
        assert followed.count("run_started") == 1
        talked = typed(f"python talk.py {url}/agui/researcher 'Hello there'", stack, reader)
        assert talked == "Answer to: Hello there"
    finally:
        process.stop()
    assert re.search(r"^web:start\+read:[0-9a-f]{64}$", typed(token, stack, reader), re.MULTILINE)


def test_the_api_stands_in_an_app_of_fastapi(stack: Stack, reader: Path) -> None:
    token, entry = new_token("web", list(Scope))
    port = str(free_port())
    env = stack.env | {"PYTHONPATH": str(PROJECT), "SERVE_TOKENS": entry}
    app = RealProcess([sys.executable, "-m", "uvicorn", "app:app", "--port", port], reader / "app.log", env, reader)
    worker = RealProcess([sys.executable, "triage.py"], reader / "triage.log", env, reader)
    agents = httpx2.Client(base_url=f"http://127.0.0.1:{port}/agents", headers={"Authorization": f"Bearer {token}"})
    try:
        app.start()
        worker.start()
        app.wait_until(lambda: "startup complete" in app.output, "the app is ready")
        worker.wait_until(lambda: "worker ready" in worker.output, "the worker is ready")
        ticket = {"text": "Checkout fails for everybody"}
        started = agents.post("/workflows/triage", json=ticket, headers={"Idempotency-Key": "t-1"})
        assert started.status_code == 201, started.text
        result = agents.get("/runs/t-1/result?wait=30", timeout=40).json()
        assert (result["status"], result["result"]["severity"]) == ("completed", "low")
        events = agents.get("/runs/t-1/events").text
        assert events.count("event: call_ended") == 2
        assert "/workflows/triage" in agents.get("/openapi.json").json()["paths"]
        assert agents.get("/signin").status_code == 404, "its pages are not mounted"
        assert agents.post("/workflows/triage", content=b"x" * (3 << 20)).status_code == 413
        assert httpx2.get(f"http://127.0.0.1:{port}/agents/runs").status_code == 401
    finally:
        app.stop()
        worker.stop()
        agents.close()


def test_the_receiver_of_the_guide_knows_our_webhooks() -> None:
    receiver: dict[str, object] = {}
    exec(files(TEXT)["receiver.py"], receiver)
    verified = receiver["verified"]
    assert callable(verified)
    body = b'{"event": "run_ended"}'
    headers = signed(SECRET, "d-1", body, time.time())
    assert verified(SECRET, headers, body)
    assert not verified(SECRET, headers, body + b" ")
    assert not verified("another secret of thirty-two chars", headers, body)
    assert not verified(SECRET, signed(SECRET, "d-1", body, time.time() - 400), body)
