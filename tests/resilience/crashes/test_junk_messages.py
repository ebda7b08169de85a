"""Every wrong arity and junk value, to each signal and update of each workflow: all shown, none does harm."""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from outlast.contracts import RunStatus
from tests.conftest import binary
from tests.processes import EVERY_WORKER, clean_environment, wait_for
from tests.served import STARTED
from tests.stacks import Stack, whole_stack

pytestmark = [pytest.mark.xdist_group("wrong_messages"), pytest.mark.timeout(240)]

STEP = {"step": 1, "agent": "writer", "input": "wait"}
STARTS: dict[str, Any] = {
    "AgentSessionWorkflow": {"agent": "writer", "task": "wait"},
    "ConsensusAnalysisWorkflow": {"question": "wait?", "options": ["yes", "no"]},
    "DocumentAnalysisWorkflow": None,  # the starter hands in the file
    "ParallelResearchWorkflow": {"topic": "wait", "sources": [{"source": "local"}]},
    "PlanAndExecuteWorkflow": {"plan": {"steps": [STEP]}},
    "RefundWorkflow": {"order": "ORD-1001", "text": {"text": "wait"}},
    "RequestHandlingWorkflow": {"requests": [{"name": "r", "text": {"text": "wait"}}]},
    # Its undo is refused, so it waits at the gate of a stuck undo.
    "RollbackWorkflow": {
        "run": "gone",
        "policy": "all",
        "changes": {
            "changes": [
                {
                    "seq": 1,
                    "step": "s",
                    "agent": "a",
                    "tool": "write_file",
                    "key": "gone/s/1",
                    "order": 1,
                    "state": "done",
                }
                | {"undo_tool": "restore_file", "undo": {"path": "../outside"}}
            ]
        },
    },
    "StagedDeliveryWorkflow": {"task": "wait"},
}
JUNK = {
    "text": ['"me\\u0000?"'],
    "list": ["[1, [2]]"],
    "number": ["3.5"],
    "fields": ['{"verdct": "deny", "gate": 7}'],
    "two": ["1", "2"],
    "three": ['"a"', "null", "{}"],
}
SIGNALS = ("approve", "deny", "decide", "answer", "pause", "resume", "rollback", "never-heard-of")
UPDATES = ("decide", "pause", "resume", "rollback")
BY_CLI = "AgentSessionWorkflow"
"""The one that gets its junk from the real command line: every call of it is a process."""
Told = tuple[bool, str]
HARMLESS = {("pause", "text"), ("rollback", "text"), *(("deny", kind) for kind in JUNK), ("resume", "text")}
"""What is no junk but a wish, or a name."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_stack(tmp_path_factory.mktemp("junk"), program=EVERY_WORKER) as stack:
        yield stack


def cli(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [binary("temporal"), "workflow", *arguments, "--address", stack.server.address]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def by_cli(stack: Stack, run: str, what: str, wanted: Sequence[tuple[str, list[str]]]) -> list[Told]:
    """Send signals, or updates, by Temporal's own command line; returns of each whether it was taken, and what was said."""

    def tell(name: str, inputs: list[str]) -> Told:
        given = [part for value in inputs for part in ("--input", value)]
        done = cli(stack, *(("update", "execute") if what == "update" else (what,)), "-w", run, "--name", name, *given)
        return done.returncode == 0, done.stdout + done.stderr

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda one: tell(*one), wanted))


def by_client(stack: Stack, run: str, what: str, wanted: Sequence[tuple[str, list[str]]]) -> list[Told]:
    """Send the same payloads as the command line does, without a process for each."""

    async def tell(handle: WorkflowHandle[Any, Any], name: str, inputs: list[str]) -> Told:
        args = [RawValue(Payload(metadata={"encoding": b"json/plain"}, data=value.encode())) for value in inputs]
        try:
            if what == "update":
                return True, json.dumps(await handle.execute_update(name, args=args))
            await handle.signal(name, args=args)
            return True, ""
        except WorkflowUpdateFailedError as error:
            return False, str(error.cause)

    async def told() -> list[Told]:
        handle = (await Client.connect(stack.server.address)).get_workflow_handle(run)
        return list(await asyncio.gather(*(tell(handle, name, inputs) for name, inputs in wanted)))

    return asyncio.run(told())


def status(stack: Stack, run: str) -> dict[str, Any]:
    """What `starter.py status --json` asks, without starting a process for each of a hundred looks."""

    async def asked() -> RunStatus:
        client = await Client.connect(stack.server.address, data_converter=pydantic_data_converter)
        found: RunStatus = await client.get_workflow_handle(run).query("status", result_type=RunStatus)
        return found

    return asyncio.run(asked()).model_dump(mode="json")


def begun(stack: Stack, run: str) -> bool:
    """Whether a run is at work; asked before its first task, it has no answer yet."""
    try:
        return bool(status(stack, run)["state"] == "running")
    except (RPCError, WorkflowQueryFailedError):
        return False


def start(stack: Stack, kind: str, run: str, directory: Path) -> None:
    if STARTS[kind] is None:
        file = directory / "wait.txt"
        file.write_text("Wait.")
        stack.done("document", str(file), "--id", run, "--detach")
        return
    wanted = json.dumps(STARTS[kind])
    begun = cli(stack, "start", "--type", kind, "--task-queue", "agents", "-w", run, "--input", wanted)
    assert begun.returncode == 0, begun.stderr


def test_every_workflow_is_in_the_list() -> None:
    assert {kind.__name__ for kind in STARTED} == {*STARTS}


@pytest.mark.parametrize("kind", sorted(STARTS))
def test_junk_harms_nothing_and_is_shown(stack: Stack, kind: str, tmp_path: Path) -> None:
    run = f"junk-{kind}"
    stack.api.script(hold=True)
    start(stack, kind, run, tmp_path)
    wait_for(lambda: begun(stack, run), "the run is there")
    tell = by_cli if kind == BY_CLI else by_client
    for name in SIGNALS:
        mine = [JUNK[junk] for junk in JUNK if (name, junk) not in HARMLESS]
        assert [taken for taken, _ in tell(stack, run, "signal", [(name, inputs) for inputs in mine])] == [True] * len(
            mine
        )
        shown = status(stack, run)
        assert len(shown.get("notices", [])) >= min(len(mine), 20), (name, shown.get("notices"))
    asked = [(name, junk) for name in UPDATES for junk in JUNK if (name, junk) not in HARMLESS]
    answers = tell(stack, run, "update", [(name, JUNK[junk]) for name, junk in asked])

    for (name, junk), (taken, said) in zip(asked, answers, strict=True):
        # Refused with a reason, or answered with one.
        assert not taken or "reason" in said or "accepted" in said, (name, junk, said)
    shown = stack.json("status", run)
    assert (shown["state"], shown.get("paused")) == ("running", None)
    stack.api.script(hold=False)
    if kind == "RollbackWorkflow":
        assert cli(stack, "signal", "-w", run, "--name", "deny", "--input", '"ann"').returncode == 0
    wait_for(lambda: status(stack, run)["state"] != "running", "the run goes on to its end")
    assert status(stack, run)["state"] in ("completed", "partial"), status(stack, run)
