"""The guide to extending it is true: its files are written, its changes made and its commands run, in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import binary
from tests.elsewhere import Elsewhere, elsewhere
from tests.guides import blocks, commands, files, needs_more, texts
from tests.processes import PROJECT, RealProcess, dev_server, free_port, messages_api, stack_environment, wait_for

pytestmark = pytest.mark.timeout(300)

LEFT_OUT = shutil.ignore_patterns(".*", "node_modules", "benchmarks", "images")


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
    # The SDK's native threads can crash the interpreter at its very end, when a program has done all of its work.
    crashed_at_exit = "Python runtime state: finalizing" in done.stderr and commands.count("\n") <= 1
    assert done.returncode == 0 or crashed_at_exit, f"{commands}\n{done.stdout}\n{done.stderr}"
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
    output: list[str] = []
    for language, title, text in blocks(texts()["extending"]):
        if title:
            (copy / title).write_text(text)
        elif language == "diff":
            change(copy, text)
        elif language == "sh":
            if (
                "temporal workflow start" in text or "python starter.py agent " in text
            ):  # as the guide says: start it anew
                worker.stop()
                worker.start()
                worker.wait_until(lambda: "worker ready" in worker.output, "the worker is ready")
            output.append(bash(text, copy, env))
    agents, clock, opinion, recorded, replayed = output[0], output[1], output[2], output[3], output[4]
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
    assert "none.json: is not an event history" in done.stderr


TRIAGE = PROJECT / "samples" / "incident_triage"
STARS = {"user": "How content is this customer?", "data": {"stars": 4, "reason": "Warm."}}
BOOKS = {"system": "You book tables", "tool": "book_table", "input": {"guest": "Okafor"}, "before_turn": 1}
WRITES = {"system": "You write incident reports", "tool": "write_file", "before_turn": 1}
ANSWERS = [
    STARS,
    BOOKS,
    {"system": "You command incidents", "data": {"severity": "SEV2", "cause": "The pool.", "first_step": "Roll back."}},
    {**WRITES, "input": {"path": "report.md", "content": "# SEV2"}},
]

SERVING = {"python own_worker.py": "worker ready", "uvicorn ": "startup complete"}
"""Commands of the cookbook that serve, and what each says once it does."""


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of readers who have a server and a model, and no checkout of ours."""
    directory = tmp_path_factory.mktemp("away")
    with dev_server(directory) as server, messages_api(directory) as api:
        api.script(rules=ANSWERS)
        yield stack_environment(directory, server, api)


def typed(reader: Elsewhere, command: str) -> str:
    """Type a command, once the gate that it decides is there."""
    if found := re.match(r"outlast approve (\S+)", command):
        wait_for(lambda: json.loads(reader.type(f"outlast status {found[1]} --json"))["gates"], "the gate")
    return reader.type(command)


def test_the_quickstart_is_the_sample() -> None:
    shown = files(texts()["quickstart"])
    own = [file for file in TRIAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert shown == {str(file.relative_to(TRIAGE)): file.read_text() for file in own if file.name != "README.md"}


def test_a_reader_of_the_quickstart_comes_to_a_recorded_history(away: dict[str, str], tmp_path: Path) -> None:
    reader = elsewhere(tmp_path / "reader", away)
    reader.write(files(texts()["quickstart"]))
    install, tested, server, serving, *rest = commands("quickstart")
    assert needs_more(install)
    assert server == "outlast up --no-worker"  # test_up.py runs it
    assert "2 passed" in reader.type(tested)
    with reader.serving(serving):
        output = {command: typed(reader, command) for command in rest}
    assert '"SEV2"' in output["outlast result inc-1"]
    assert "inc-1.json: replays" in output["python worker.py --replay histories/inc-1.json"]
    assert not (reader.folder / "incident" / "report.md").exists()


def test_every_answer_of_the_cookbook_runs(away: dict[str, str], tmp_path: Path) -> None:
    reader = elsewhere(tmp_path / "reader", away)
    reader.write(files(texts()["README"]) | files(texts()["cookbook"]))
    port, output = str(free_port()), {}
    with ExitStack() as serving:
        for command in commands("cookbook"):
            command = command.replace("8000", port)
            if ready := next((ready for words, ready in SERVING.items() if words in command), ""):
                serving.enter_context(reader.serving(command, ready))
            else:
                output[command] = typed(reader, command)
            if "workflow start --type Book" in command:
                assert reader.type("outlast result table-1")
                assert (reader.folder / "Okafor.booked").exists()
    assert '"ada"' in output["outlast result rel-1"]
    assert '"bob"' in output["outlast result rel-1"]
    assert not (reader.folder / "Okafor.booked").exists()
    assert output["python rate.py"].startswith("4 of 5")
    assert "daily" in output["temporal schedule list"]
    assert '"stars": 4' in output["outlast result review-7"]
    assert all("1 passed" in shown for command, shown in output.items() if "pytest" in command)
