"""The audit of an exported history: whole as it was recorded, and every changed record named. No server is needed."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import PROJECT, clean_environment

HISTORY = PROJECT / "tests" / "replay" / "histories" / "gate-tool-two-approvers.json"


def audit(file: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "starter.py", "audit", "--file", str(file)]
    return subprocess.run(command, cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=False)


def altered(history: dict[str, Any], was: str, now: str) -> int:
    """Change a word in every record of the decision log; returns how many payloads were changed."""
    changed = 0
    for event in history["events"]:
        fields = event.get("workflowPropertiesModifiedEventAttributes", {}).get("upsertedMemo", {}).get("fields", {})
        if "gate_records" in fields:
            data = base64.b64decode(fields["gate_records"]["data"])
            fields["gate_records"]["data"] = base64.b64encode(data.replace(was.encode(), now.encode())).decode()
            changed += data != base64.b64decode(fields["gate_records"]["data"])
    return changed


def test_a_history_as_it_was_recorded_is_whole() -> None:
    done = audit(HISTORY)

    assert done.returncode == 0, done.stderr
    assert "counted by eve" in done.stdout
    assert "approved by bob" in done.stdout


@pytest.mark.parametrize(
    ("was", "now", "record"),
    [('"by":"eve"', '"by":"ann"', "record 2"), ('"kind":"approved"', '"kind":"denied"', "record 3")],
)
def test_a_changed_record_is_named(tmp_path: Path, was: str, now: str, record: str) -> None:
    history = json.loads(HISTORY.read_text())
    assert altered(history, was, now) >= 1
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(history))

    done = audit(file)

    assert done.returncode == 1
    assert record in done.stdout + done.stderr
