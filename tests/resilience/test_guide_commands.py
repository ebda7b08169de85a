"""Every indented command of the guides runs as it stands there, only with the names of runs that are in the state it is about."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import binary
from tests.processes import PROJECT, wait_for
from tests.stacks import Stack, whole_stack

pytestmark = pytest.mark.timeout(240)

COMMAND = re.compile(r"^    ((?:starter\.py|temporal) (?:.*\\\n)*.*)$", re.MULTILINE)
COMMENT = re.compile(r"\s{2,}#.*$", re.MULTILINE)
GUIDES = ("cost", "rolling-back", "steering", "troubleshooting")
CHAIN = [
    {"step": 1, "agent": "generalist", "input": "Look around"},
    {"step": 2, "agent": "file-clerk", "input": "Keep the notes", "depends_on": [1]},
    {"step": 3, "agent": "writer", "input": "Write it up", "depends_on": [2]},
]
WRITES = {
    "user": "Keep the notes",
    "tool": "write_file",
    "input": {"path": "notes.md", "content": "kept"},
    "before_turn": 1,
}
PATIENT = ("--detach",)


def commands(guide: str) -> list[str]:
    text = (PROJECT / "docs" / f"{guide}.md").read_text()
    return [COMMENT.sub("", found).strip() for found in COMMAND.findall(text)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("guides")) as running:
        (running.directory / "chain.json").write_text(json.dumps({"steps": CHAIN}))
        yield running


def begun(stack: Stack, run: str, *options: str, held: bool = False) -> str:
    stack.api.script(hold=held, rules=[WRITES])
    stack.done("plan", "--plan", str(stack.directory / "chain.json"), "--id", run, *options, *PATIENT)
    return run


def ended(stack: Stack, run: str, *options: str) -> str:
    begun(stack, run, *options)
    stack.run("result", run)
    return run


def at_a_gate(stack: Stack, run: str, *options: str) -> str:
    begun(stack, run, *options)
    wait_for(lambda: stack.json("status", run).get("gates"), f"{run} waits at a gate")
    return run


def at_work(stack: Stack, run: str, *options: str) -> str:
    begun(stack, run, *options, held=True)
    wait_for(lambda: "running" in str(stack.json("status", run).get("steps")), f"{run} is at work")
    return run


Making = Callable[[Stack, str], str]
STATES: tuple[tuple[str, Making], ...] = (
    ("--name pause", at_work),
    ("--name resume", at_work),
    ("--name rollback", at_work),
    ("starter.py rollback", ended),
    ('"edit": {"plan"', lambda stack, run: at_a_gate(stack, run, "--checkpoint", "steps=2")),
    ("--name approve", lambda stack, run: at_a_gate(stack, run, "--budget-calls", "1")),
    ("--name decide", lambda stack, run: at_a_gate(stack, run, "--budget-calls", "1")),
    ("--name deny", lambda stack, run: at_a_gate(stack, run, "--budget-calls", "1")),
    ("starter.py ", ended),
)
"""Which state a run is brought into for a command that names one; the first that fits."""


@pytest.mark.parametrize("guide", GUIDES)
def test_every_command_of_a_guide_runs(stack: Stack, guide: str) -> None:
    found = commands(guide)
    assert len(found) >= 4
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(binary("temporal")).parent)])
    env = stack.env | {"PATH": f"{path}{os.pathsep}{stack.env['PATH']}"}
    for number, command in enumerate(found):
        typed = command
        if " ID" in command:
            make = next(make for words, make in STATES if words in command)
            typed = typed.replace(" ID", f" {make(stack, f'{guide}-{number}')}").replace(" STEP", " 2")
        else:
            stack.api.script(hold=False, rules=[])
            typed = f"{typed.replace('…', 'Compare tea and coffee')} {' '.join(PATIENT)}"
        typed = re.sub(r"^starter\.py", f"python {PROJECT / 'starter.py'}", typed)
        done = subprocess.run(
            ["bash", "-c", typed], cwd=PROJECT / "samples" / "documents", env=env,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        stack.api.script(hold=False, rules=[WRITES])
