"""The example of the quickstart runs as its reader runs it: in a folder elsewhere that sees `outlast` alone.

Its own tests run where the quickstart says so, in test_guides.py.
"""

import shutil
from pathlib import Path

from tests.elsewhere import elsewhere
from tests.processes import (
    PROJECT,
    dev_server,
    messages_api,
    stack_environment,
    wait_for,
)
from tests.stacks import Stack

FOLDER = PROJECT / "samples" / "incident_triage"
VERDICT = {"severity": "SEV2", "cause": "The pool was halved.", "first_step": "Roll release 318 back."}
EDIT = '{"severity": "SEV1", "cause": "The pool was halved.", "first_step": "Roll release 318 back."}'
RULES = [
    {"system": "You read logs", "tool": "read_file", "input": {"path": "api.log"}, "before_turn": 1},
    {"system": "You read change lists", "tool": "read_file", "input": {"path": "changes.md"}, "before_turn": 1},
    {"system": "You command incidents", "data": VERDICT},
    {
        "system": "You write incident reports",
        "user": "this SEV1",
        "tool": "write_file",
        "input": {"path": "report.md", "content": "# SEV1"},
        "before_turn": 1,
    },
]


def test_it_is_small() -> None:
    assert sum(len(file.read_text().splitlines()) for file in FOLDER.glob("*.py")) <= 120


def test_its_worker_serves_a_run_that_people_edit_approve_and_undo(tmp_path: Path) -> None:
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api:
        api.script(rules=RULES)
        env = stack_environment(tmp_path, server, api)
        reader = elsewhere(tmp_path / "reader", env)
        shutil.copytree(FOLDER, reader.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        report = reader.folder / "incident" / "report.md"
        ready = "worker ready: task queue 'triage'"
        with reader.serving("WORKSPACE_DIR=incident python worker.py", ready) as worker:
            stack = Stack(tmp_path, server, api, worker, env)
            request = ("--input", '{"alert": "5xx of the checkout at 11 %"}')
            stack.temporal("workflow", "start", "--type", "Triage", "--task-queue", "triage", "-w", "inc", *request)
            wait_for(lambda: stack.json("status", "inc").get("gates"), "the gate")
            stack.done("decide", "inc", "--verdict", "approve", "--edit", EDIT, "--as", "ada")
            stack.done("approve", "inc", "--as", "bob")
            assert "SEV1" in stack.done("result", "inc")
            assert report.read_text() == "# SEV1"
            stack.done("rollback", "inc")
            assert not report.exists()
