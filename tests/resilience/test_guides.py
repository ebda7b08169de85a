"""The guide to extending it is true: its files are written, its changes made and its commands run, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import binary
from tests.processes import PROJECT, RealProcess, dev_server, messages_api, stack_environment

pytestmark = pytest.mark.timeout(300)

BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "benchmarks", "images")


def blocks(guide: str) -> list[tuple[str, str, str]]:
    """Return language, file and text of every block."""
    return [(found[1], found[2] or "", found[3]) for found in BLOCK.finditer((PROJECT / "docs" / guide).read_text())]


def change(copy: Path, diff: str) -> None:
    """Make the changes of a diff whose hunks are found by their text, as a reader finds them."""
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        file = copy / name.strip()
        text = file.read_text()
        for hunk in re.split(r"^@@.*\n", rest, flags=re.MULTILINE)[1:]:
            lines = hunk.splitlines()
            before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
            after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
            assert text.count(before) == 1, f"{name}: these lines are not there once:\n{before}"
            text = text.replace(before, after)
        file.write_text(text)


def bash(commands: str, copy: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", commands], cwd=copy, env=env, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], RealProcess]]:
    """A copy of the project with a server, a model, and the worker as it was before."""
    copy = tmp_path / "copy"
    shutil.copytree(PROJECT, copy, ignore=LEFT_OUT)
    (copy / "tests" / "workflow" / "__init__.py").touch()
    paths = os.pathsep.join([str(Path(sys.executable).parent), str(Path(binary("temporal")).parent)])
    with dev_server(tmp_path) as server, messages_api(tmp_path) as api:
        env = stack_environment(tmp_path, server, api)
        env["PATH"] = f"{paths}{os.pathsep}{env['PATH']}"
        worker = RealProcess([sys.executable, "worker.py"], log=tmp_path / "worker.log", env=env, cwd=copy)
        worker.start()
        try:
            yield copy, env, worker
        finally:
            worker.stop()


def test_a_reader_adds_an_agent_a_tool_a_server_and_a_workflow(
    stack: tuple[Path, dict[str, str], RealProcess],
) -> None:
    copy, env, worker = stack
    said: list[str] = []
    for language, title, text in blocks("extending.md"):
        if title:
            (copy / title).write_text(text)
        elif language == "diff":
            change(copy, text)
        else:
            if (
                "temporal workflow start" in text or "python starter.py agent " in text
            ):  # as the guide says: start it anew
                worker.stop()
                worker.start()
                worker.wait_until(lambda: "worker ready" in worker.output, "the worker is ready", timeout=60)
            said.append(bash(text, copy, env))
    agents, clock, opinion, recorded, replayed = said[0], said[1], said[2], said[3], said[4]
    assert "translator" in agents
    assert "clock" in clock
    assert "analyst" in opinion
    assert "sceptic" in opinion
    assert "second opinion" in opinion, opinion
    assert "passed" in recorded
    assert replayed.count(": replays") >= 3
    assert (copy / "tests" / "replay" / "histories" / "opinion-two.json").exists()


def test_replay_before_deploy_names_what_differs_and_what_is_no_history(tmp_path: Path) -> None:
    recorded = (PROJECT / "tests" / "replay" / "histories" / "plan-given.json").read_text()
    (tmp_path / "same.json").write_text(recorded)
    (tmp_path / "other.json").write_text(recorded.replace('"call_model"', '"call_another"'))
    (tmp_path / "none.json").write_text("{}")
    env = {**os.environ, "STATE_DIR": str(tmp_path)}

    def replayed(*names: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "worker.py", "--replay", *(str(tmp_path / name) for name in names)]
        return subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=60, check=False)

    done = replayed("same.json", "other.json")
    assert done.returncode == 1
    same, other = [line for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    assert same.endswith("same.json: replays")
    assert "Nondeterminism" in other
    assert "call_another" in other
    done = replayed("none.json")
    assert done.returncode == 2
    assert "none.json: is no event history" in done.stderr
