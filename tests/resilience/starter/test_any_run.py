"""The commands work on any run: of a type that nobody registered, of a workflow of others, and of a worker that is busy."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from outlast.client import data_converter
from tests.doubles.own_workflows import LetterRequest
from tests.processes import RealProcess, running_starter, starter, wait_for, worker
from tests.stacks import Stack

pytestmark = pytest.mark.xdist_group("starter")

LETTER = "Dear Sir or Madam, the delivery is late. " * 50


@pytest.fixture(scope="module")
def own(shared_stack: Stack) -> Iterator[RealProcess]:
    """A worker that serves a workflow of a user's own."""
    stack = shared_stack
    with worker(stack.directory, stack.server, stack.api, name="own", program="tests/doubles/own_worker.py") as process:
        yield process


def begun(stack: Stack, workflow: str, request: Any, run: str) -> None:
    """Start a run as a client program of a user's own does."""

    async def start() -> None:
        client = await Client.connect(stack.server.address, data_converter=data_converter(512 * 1024))
        await client.start_workflow(workflow, request, id=run, task_queue="own")

    asyncio.run(start())


def outlast(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the console script of the library, which knows no workflow of this application."""
    return starter(*arguments, env=stack.env, program="tests/doubles/outlast_command.py")


def done(stack: Stack, *arguments: str) -> str:
    ended = outlast(stack, *arguments)
    assert ended.returncode == 0, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def test_a_run_of_an_unregistered_type_is_shown_decided_and_read_in_full(stack: Stack, own: RealProcess) -> None:
    stack.api.script(rules=[{"text": LETTER}])
    begun(stack, "LetterWorkflow", LetterRequest(topic="The delivery", requester="alice"), "letter")

    wait_for(lambda: "send the letter" in outlast(stack, "inbox").stdout, "the gate waits")
    assert "letter · letter · running · 1 call" in done(stack, "status", "letter")
    assert "alice asked for it, so somebody else has to approve" in done(stack, "status", "letter")
    assert "gate-1 of letter: approved by bob" in done(stack, "approve", "letter", "--as", "bob")
    shown = done(stack, "result", "letter")
    assert LETTER.strip() in shown
    assert '"approved_by": [\n    "bob"\n  ]' in shown
    assert "completed · 1 call" in shown
    result = json.loads(done(stack, "result", "letter", "--json"))
    assert (result["state"], result["letter"], result["spend"]["calls"]) == ("completed", LETTER, 1)
    assert done(stack, "watch", "letter").endswith(": outlast result letter\n")
    assert "writer · " in done(stack, "trace", "letter")
    assert json.loads(done(stack, "why", "letter", "writer", "--json"))["answer"] == LETTER
    assert LETTER.strip() in done(stack, "report", "letter", "-o", "-")
    assert "gate-1 approved by bob" in done(stack, "audit", "letter")
    for listed in (("list", "--type", "LetterWorkflow"), ("list",)):
        assert ["letter", "Letter", "completed"] in [line.split()[:3] for line in done(stack, *listed).splitlines()]
    assert "letter" not in {run["id"] for run in stack.json("list", "--type", "plan")}


def test_a_workflow_of_others_is_described_and_its_result_shown(stack: Stack, own: RealProcess) -> None:
    begun(stack, "ForeignWorkflow", "Ada", "foreign")

    assert json.loads(done(stack, "result", "foreign", "--json"))["result"] == {"greeting": "Hello, Ada"}
    assert '"greeting": "Hello, Ada"' in done(stack, "result", "foreign")
    assert "foreign · ForeignWorkflow · completed" in done(stack, "status", "foreign")
    for command in ("watch", "cancel", "trace"):
        ended = outlast(stack, command, "foreign")
        assert (ended.returncode, "is of type ForeignWorkflow, which" in ended.stderr) == (2, True), ended.stderr


def test_what_a_workflow_of_others_returns_is_not_taken_for_ours(stack: Stack, own: RealProcess) -> None:
    begun(stack, "ForeignWorkflow", "Bob", "payment")
    assert json.loads(done(stack, "result", "payment", "--json"))["result"] == {
        "greeting": "Hello, Bob",
        "state": "failed",
    }
    assert '"state": "failed"' in (shown := done(stack, "result", "payment"))
    assert "0 calls" not in shown


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ('{"topik": "Lamps"}', "topik: there is no such field; known are "),
        ('{"topic": 5}', "topic: Input should be a valid string"),
        ('{"gate": {"needed": -1}}', "gate.needed: Input should be greater than or equal to 1"),
        ('{"gate": {"neded": 2}}', "gate.neded: there is no such field"),
        ("[]", "plan: there is no such field"),
        ('{"sent": false, "topic": "Lamps"}', ""),
    ],
)
def test_a_fork_of_an_unregistered_type_is_refused_for_a_wrong_edit(
    stack: Stack, own: RealProcess, tmp_path: Path, edit: str, why: str
) -> None:
    if not outlast(stack, "status", "unsent").stdout:
        begun(stack, "LetterWorkflow", LetterRequest(topic="The delivery", sent=False), "unsent")
        done(stack, "result", "unsent")
    (file := tmp_path / "edit.json").write_text(edit)

    ended = outlast(stack, "fork", "unsent", "--edit", str(file), "--dry-run")

    assert (ended.returncode, f"--edit: {why}" in ended.stderr) == ((2, True) if why else (0, False)), ended.stderr


@pytest.mark.parametrize("command", ["status", "trace"])
def test_a_run_is_shown_from_its_history_while_its_worker_is_busy(stack: Stack, own: RealProcess, command: str) -> None:
    run = f"stopped-{command}"
    begun(stack, "LetterWorkflow", LetterRequest(topic="The delivery"), run)
    wait_for(lambda: run in outlast(stack, "inbox").stdout, "the gate waits")
    hurried = replace(stack, env={**stack.env, "QUERY_WAIT": "2"})
    own.send(signal.SIGSTOP)
    try:
        shown = done(hurried, command, run)
        watched = hurried.run("status", run, "--json")
    finally:
        own.send(signal.SIGCONT)
    done(stack, "cancel", run)

    assert f"run '{run}' is running: the worker is busy" in shown
    assert "writer" in shown
    assert "no worker serves" not in shown
    told = json.loads(watched.stdout)
    assert [(step["step"], step["state"]) for step in told["steps"]] == [("writer", "done")]
    assert [gate["description"] for gate in told["gates"]] == ["send the letter"]
    assert "the worker is busy" in told["busy"]


def test_a_run_is_watched_while_its_worker_is_busy(stack: Stack, own: RealProcess, tmp_path: Path) -> None:
    begun(stack, "LetterWorkflow", LetterRequest(topic="The delivery"), "stopped-watch")
    wait_for(lambda: "stopped-watch" in outlast(stack, "inbox").stdout, "the gate waits")
    own.send(signal.SIGSTOP)
    try:
        with running_starter(tmp_path, "watch", "stopped-watch", env=stack.env, name="watch") as watching:
            watching.wait_until(lambda: "gate-1 waits for a person" in watching.output, "it shows history and memo")
            assert "done · writer" in watching.output
            assert "the worker is busy or gone" in watching.output
            own.send(signal.SIGCONT)
            done(stack, "approve", "stopped-watch", "--as", "bob")
            assert watching.wait() == 0, watching.output
    finally:
        own.send(signal.SIGCONT)
    assert "stopped-watch is done (completed · 1 of 1 steps · 1 call" in watching.output
