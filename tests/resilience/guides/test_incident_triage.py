"""The example of the quickstart runs as its reader runs it: in a folder elsewhere that sees `outlast` alone."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.processes import (
    PROJECT,
    RealProcess,
    clean_environment,
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


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A copy of the example, and beside it all that its reader has installed of ours."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "outlast").symlink_to(PROJECT / "outlast")
    return Path(shutil.copytree(FOLDER, tmp_path / "incident_triage", ignore=shutil.ignore_patterns("__pycache__")))


def reader(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    paths = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return {**environment, "PYTHONPATH": str(folder.with_name("site")), "PATH": paths}


def test_it_is_small() -> None:
    assert sum(len(file.read_text().splitlines()) for file in FOLDER.glob("*.py")) <= 120


def test_its_own_tests_pass(elsewhere: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    env = reader(elsewhere, clean_environment())
    ended = subprocess.run(command, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr


def test_its_worker_serves_a_run_that_people_edit_approve_and_undo(elsewhere: Path, tmp_path: Path) -> None:
    report = elsewhere / "incident" / "report.md"
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api:
        api.script(rules=RULES)
        env = stack_environment(tmp_path, server, api)
        worker = RealProcess(
            [sys.executable, "worker.py"],
            log=tmp_path / "worker.log",
            env=reader(elsewhere, env) | {"WORKSPACE_DIR": str(elsewhere / "incident")},
            cwd=elsewhere,
        )
        worker.start()
        try:
            worker.wait_until(lambda: "worker ready: task queue 'triage'" in worker.output, "the worker", timeout=60)
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
        finally:
            worker.stop()
