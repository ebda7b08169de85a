"""Every command of the README runs, in order, as a reader would type it; a command nobody runs here fails the last test."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cli.demo.tour import NO_MODEL_ASKED
from cli.demo.tour_stops import PIPELINE, STOPS
from tests.elsewhere import elsewhere
from tests.guides import commands, commands_of, files, needs_more, section
from tests.processes import (
    PROJECT,
    MessagesApi,
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
OWN = section("README", "Build your own")
"""A workflow of the reader's own; its commands are not typed in the project."""
ON_A_STACK = [
    command for command in COMMANDS if command.startswith(("python starter.py", "temporal ")) and command not in OWN
]
ALONE = {"make demo", "make showcase", "make test", "make up", "source .venv/bin/activate"}
SERVING = [command for command in COMMANDS if command.startswith("python worker.py")]


PACKAGE = PROJECT / "outlast"


def with_our_python(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}


def bash(command: str, env: dict[str, str], timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", command], env=env, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MessagesApi, dict[str, str]]]:
    tmp = tmp_path_factory.mktemp("readme")
    with dev_server(tmp) as server, messages_api(tmp) as api, worker(tmp, server, api):
        yield api, with_our_python(stack_environment(tmp, server, api))


@pytest.fixture
def environment(stack: tuple[MessagesApi, dict[str, str]]) -> dict[str, str]:
    return stack[1]


@on_the_stack
def test_the_starter_commands_run_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    for command in ON_A_STACK:
        # What a command writes belongs into a temporary folder.
        for name in ("launch.jsonl", "launch.html"):
            command = command.replace(f" {name}", f" {tmp_path / name}")
        done = bash(command, environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@on_the_stack
def test_a_workflow_of_ones_own_asks_two_agents_and_a_person(
    stack: tuple[MessagesApi, dict[str, str]], tmp_path: Path
) -> None:
    api, environment = stack
    api.script(rules=[{"user": "Checkout fails", "data": {"severity": "high", "why": "Nobody can pay."}}])
    install, server, serving, *typed = commands_of(OWN)
    assert needs_more(install)
    assert server == "outlast up --no-worker"  # test_up.py runs it; here the server is that of the stack
    place = elsewhere(tmp_path / "reader", environment)
    place.write(files(OWN))
    with place.serving(serving):
        for command in typed:
            if " approve " in command:
                wait_for(lambda: json.loads(place.type("outlast status t-1 --json"))["gates"], "the gate")
            shown = place.type(command)
    assert '"page": true' in shown
    assert sum(bool(line.strip()) for line in files(OWN)["triage.py"].splitlines()) <= 25


@on_the_stack
@pytest.mark.parametrize("command", SERVING)
def test_the_worker_command_serves_until_it_is_stopped(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    process = RealProcess(command=["bash", "-c", f"exec {command}"], log=tmp_path / "worker.log", env=environment)
    process.start()
    try:
        process.wait_until(lambda: "worker ready" in process.output, "the worker is ready")
    finally:
        assert process.stop() == 0


@pytest.mark.xdist_group("demo")
def test_make_up_serves_make_demo_and_runs_by_the_local_model_until_it_is_interrupted(tmp_path: Path) -> None:
    # Whole answers of the local model are most of a minute of computing, and prove no more than their first words.
    (tmp_path / "models.toml").write_text((PACKAGE / "llm" / "models.toml").read_text().replace("= 128\n", "= 24\n"))
    settings = {"STATE_DIR": str(tmp_path / "state"), "MODELS_FILE": str(tmp_path / "models.toml")}
    env = with_our_python(clean_environment(**settings))
    process = RealProcess(command=["make", "up"], log=tmp_path / "up.log", env=env)
    process.start()
    try:
        process.wait_until(lambda: "Web UI" in process.output and "starter.py" in process.output, "up", timeout=90)
        _demo_is_whole(bash("make demo", env, timeout=400))
        # What the demo does not ask of the local model: to choose a category, and to call a tool.
        asked = (
            'python starter.py route "I was charged twice for March" --json',
            'python starter.py agent file-clerk "List the files of the workspace" --turns 2 --json',
        )
        with ThreadPoolExecutor() as both:
            routing, done = both.map(lambda command: bash(command, env), asked)
        routed = json.loads(routing.stdout)
        assert routed["requests"][0]["answers"], routed
        assert (done.returncode, json.loads(done.stdout)["tool_calls"]) == (0, 1), done
    finally:
        up = (tmp_path / "state" / "up.json").read_text()
        pid = int(re.findall(r'"pid":\s*(\d+)', up)[0])
        os.kill(pid, signal.SIGINT)
        wait_for(lambda: process.returncode is not None, "up to end")


def _demo_is_whole(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    for document in sorted((PROJECT / "samples" / "documents").iterdir()):
        assert document.name in done.stdout
    assert re.search(r"✓ Finished model calls: \d+, none repeated", done.stdout), done.stdout
    _tour_is_whole(done.stdout)


def _tour_is_whole(shown: str) -> None:
    """Every pattern was shown, by recorded answers, and it is said that they are."""
    assert shown.count(NO_MODEL_ASKED) == 2, shown
    assert all(f"✓ {stop.title}" in shown for stop in STOPS), shown
    refund = " ".join(shown.partition("✓ refund, approved by two, rolled back")[2].split())
    for line in ("approved by Ann and Bob", "row: undone", "mail: sent, and cannot be undone", "now 0 refunds in"):
        assert line in refund, shown
    chat = " ".join(shown.partition("✓ conversation, two people in one session")[2].split())
    assert "Bob │ Say that it holds in the rain. writer │ Charged for the week" in chat, shown
    asks = shown.partition("✓ agent that asks other agents")[2].splitlines()
    assert asks[1] == "    step session asked legal-analyst: done", "the lines of a stop stand together"
    assert "step session asked file-clerk, in a run of its own: done" in shown
    assert "typed here in the name of Ann" in shown
    assert "dissent: analyst" in shown
    assert "http://127.0.0.1:" in shown


@pytest.mark.xdist_group("showcase")
def test_make_showcase_shows_every_pattern_and_writes_a_report(tmp_path: Path) -> None:
    # A key of the person's own must not be used: where it were, the calls would go to an endpoint that is not there.
    own = {"ANTHROPIC_API_KEY": "own", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    env = with_our_python(clean_environment(STATE_DIR=str(tmp_path / "state"), **own))
    done = bash("make showcase", env, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    _tour_is_whole(done.stdout)
    assert f"✓ {PIPELINE.title}" in done.stdout, done.stdout
    report = (tmp_path / "state" / "tour" / "report.html").read_text()
    for said in ("Dear shop owner", "no price", '<td data-label="by">Ann</td>', "Nothing failed"):
        assert said in report


@pytest.mark.xdist_group("make_test")
def test_make_test_runs_pytest() -> None:
    env = with_our_python(clean_environment())
    done = bash(f"make test PYTEST='{sys.executable} -m pytest --collect-only -q tests/unit/documents'", env)
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
    assert set(COMMANDS) == {*ON_A_STACK, *ALONE, *SERVING, *commands_of(OWN)}
