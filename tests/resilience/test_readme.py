"""Every command of the README runs, in order, as a reader would type it; a command nobody runs here fails the last test."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guides import commands
from tests.processes import (
    PROJECT,
    RealProcess,
    clean_environment,
    dev_server,
    messages_api,
    stack_environment,
    wait_for,
    worker,
)

pytestmark = pytest.mark.timeout(540)
on_the_stack = pytest.mark.xdist_group("readme")

COMMANDS = commands("README")
ON_A_STACK = [command for command in COMMANDS if command.startswith(("python starter.py", "temporal "))]
ALONE = {"make demo", "make test", "make up", "source .venv/bin/activate"}
SERVING = [command for command in COMMANDS if command.startswith("python worker.py")]


def with_our_python(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}


def bash(command: str, env: dict[str, str], timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", command], env=env, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    tmp = tmp_path_factory.mktemp("readme")
    with dev_server(tmp) as server, messages_api(tmp) as api, worker(tmp, server, api):
        yield with_our_python(stack_environment(tmp, server, api))


@on_the_stack
def test_the_starter_commands_run_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    for command in ON_A_STACK:
        # What a command writes belongs into a temporary folder.
        for name in ("launch.jsonl", "launch.html"):
            command = command.replace(f" {name}", f" {tmp_path / name}")
        done = bash(command, environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@on_the_stack
@pytest.mark.parametrize("command", SERVING)
def test_the_worker_command_serves_until_it_is_stopped(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    process = RealProcess(command=["bash", "-c", f"exec {command}"], log=tmp_path / "worker.log", env=environment)
    process.start()
    try:
        process.wait_until(lambda: "worker ready" in process.output, "the worker is ready", timeout=60)
    finally:
        assert process.stop() == 0


@pytest.mark.xdist_group("demo")
def test_make_demo_shows_every_document_and_survives_the_crash(tmp_path: Path) -> None:
    env = with_our_python(clean_environment(STATE_DIR=str(tmp_path / "state")))
    done = bash("make demo", env, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    for document in sorted((PROJECT / "samples" / "documents").iterdir()):
        assert document.name in done.stdout
    refund = " ".join(done.stdout.partition("✓ refund, approved by two, taken back")[2].split())
    for line in ("approved by Ann and Bob", "row: undone", "mail: sent, and cannot be undone", "now 0 refunds in"):
        assert line in refund, done.stdout
    assert "http://127.0.0.1:" in done.stdout
    assert "✓ refund, approved by two, taken back" in done.stdout
    assert "row: undone" in done.stdout
    assert "mail: sent, and cannot be undone" in done.stdout


@pytest.mark.xdist_group("make_up")
def test_make_up_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    env = with_our_python(clean_environment(STATE_DIR=str(tmp_path / "state")))
    process = RealProcess(command=["make", "up"], log=tmp_path / "up.log", env=env)
    process.start()
    try:
        process.wait_until(lambda: "Web UI" in process.output and "starter.py" in process.output, "up", timeout=90)
    finally:
        up = (tmp_path / "state" / "up.json").read_text()
        pid = int(re.findall(r'"pid":\s*(\d+)', up)[0])
        os.kill(pid, signal.SIGINT)
        wait_for(lambda: process.returncode is not None, "up to end", timeout=60)


@pytest.mark.xdist_group("make_test")
def test_make_test_runs_pytest() -> None:
    env = with_our_python(clean_environment())
    done = bash(f"make test PYTEST='{sys.executable} -m pytest --collect-only -q tests/unit'", env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests collected" in done.stdout


def test_a_step_that_is_explained_is_one_of_a_given_plan() -> None:
    """Whatever the model writes: a small one may plan a single step."""
    explained = [found for command in COMMANDS if (found := re.search(r" why (\S+) (\S+)", command))]
    assert explained
    for run, step in (found.groups() for found in explained):
        (plan,) = (re.search(r"--plan (\S+)", command) for command in COMMANDS if command.endswith(f"--id {run}"))
        assert plan is not None, run
        assert step in [str(planned["step"]) for planned in json.loads((PROJECT / plan[1]).read_text())["steps"]]


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) == {*ON_A_STACK, *ALONE, *SERVING}
