"""An open gate on real processes: kept while worker and server are killed, and a decision sent meanwhile counts."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import binary
from tests.processes import clean_environment, wait_for
from tests.stacks import Stack, whole_stack

pytestmark = pytest.mark.timeout(180)

PLAN = {
    "steps": [
        {"step": "look", "agent": "generalist", "input": "Look around"},
        {"step": "act", "agent": "generalist", "input": "Act at once", "depends_on": ["look"], "confirm": True},
    ]
}


def signal(stack: Stack, run: str, name: str, value: Any) -> None:
    command = [binary("temporal"), "workflow", "signal", "-w", run, "--name", name, "--input", json.dumps(value)]
    done = subprocess.run(
        [*command, "--address", stack.server.address],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def started(stack: Stack, tmp_path: Path, run: str) -> None:
    """Start a plan and wait until its gate is open."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN))
    stack.done("plan", "--plan", str(file), "--id", run, "--detach")
    wait_for(lambda: stack.json("status", run).get("gates"), "the gate is open")


def test_a_gate_outlives_worker_and_server_and_takes_what_was_sent_meanwhile(tmp_path: Path) -> None:
    with whole_stack(tmp_path) as stack:
        started(stack, tmp_path, "approved")
        started(stack, tmp_path, "denied")
        asked = len(stack.api.hits())

        stack.worker.kill()
        stack.server.kill()
        stack.server.start()
        signal(stack, "approved", "approve", {"by": "ann"})
        signal(stack, "denied", "deny", "bob")
        signal(stack, "denied", "approve", {"by": "eve"})
        stack.worker.start()
        stack.worker.wait_until(lambda: "worker ready" in stack.worker.output, "the worker is back")

        assert stack.json("result", "approved")["state"] == "completed"
        denied = stack.run("result", "denied", "--json")
        status = stack.json("status", "denied")
        assert len(stack.api.hits()) == asked + 1  # the step before the gate was not asked again, the denied one never

    assert denied.returncode == 1
    assert [row["state"] for row in status["steps"]] == ["done", "failed"]
    assert status["steps"][1]["note"] == "gate-1: it was denied by bob"
    assert any("late" in notice for notice in status["notices"])
