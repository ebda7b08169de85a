"""Where somebody reads a guide and types what it says: a folder like the project's, a stack, and runs in the state it is about.

Runs are started as a program starts them, with a request in plain JSON, because a starter for each takes longer than the command.
What serves (`SERVING`) goes on until the guide is read to its end, so its ports are free ones, not those of the text.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from outlast.contracts import RunStatus
from tests.conftest import binary
from tests.processes import PROJECT, RealProcess, free_port, wait_for
from tests.stacks import Stack

CHAIN = {
    "steps": [
        {"step": "1", "agent": "generalist", "input": "Look around"},
        {"step": "2", "agent": "file-clerk", "input": "Keep the notes", "depends_on": ["1"]},
        {"step": "3", "agent": "writer", "input": "Write it up", "depends_on": ["2"]},
    ]
}
LETTER = {"steps": [{"step": "1", "agent": "mailer", "input": "Send the letter"}]}
WRITES = {
    "user": "Keep the notes",
    "tool": "write_file",
    "input": {"path": "notes.md", "content": "kept"},
    "before_turn": 1,
}
PLANS = {
    "system": "You plan work for a team",
    "data": {
        "steps": [
            {"step": n, "agent": "writer", "input": f"Part {n}", "depends_on": [n - 1] * (n > 1)} for n in range(1, 6)
        ]
    },
}
"""A plan that has the steps which the guides name."""
MAILS = {
    "user": "Send the letter",
    "tool": "send_mail",
    "input": {"to": ["ann@example.org"], "subject": "A letter", "text": "Dear Ann"},
    "before_turn": 1,
}
ASKS = {"user": "Send the letter", "tool": "ask_person", "input": {"question": "And to Bob?"}, "before_turn": 1}
ASKS_THEN = ASKS | {"system": "You send letters", "user": "", "before_turn": 2}
MAILER = """---
name: mailer
description: Sends letters.
tools: send_mail, ask_person
---
You send letters.
"""
ONE_CALL = {"budget": {"calls": 1}}
SERVING = {
    "python worker.py": "worker ready",
    "watch --all": "waits for a person",
    "inbox --serve": "inbox ready",
    "codec-server": "codec server ready",
}
"""Commands that go on until they are stopped, and what each says once it is at work."""


def served(command: str) -> str:
    """Return what a command that serves says once it is at work; "" for one that ends by itself."""
    return next((ready for words, ready in SERVING.items() if words in command), "")


@dataclass
class Desk:
    """One reader; `env` is that of the shell, `ports` those of the text with the ones that are taken instead."""

    stack: Stack
    ports: dict[str, int]
    env: dict[str, str] = field(init=False)
    folder: Path = field(init=False)
    _serving: ExitStack = field(default_factory=ExitStack, init=False)

    def __post_init__(self) -> None:
        paths = (str(Path(sys.executable).parent), str(Path(binary("temporal")).parent), self.stack.env["PATH"])
        self.env = self.stack.env | {"PATH": os.pathsep.join(paths), "OTEL_METRIC_EXPORT_INTERVAL": "200"}
        self.folder = self.stack.directory / "desk"
        self.folder.mkdir()
        for name in ("starter.py", "worker.py", "deploy", "samples"):
            (self.folder / name).symlink_to(PROJECT / name)
        for document in (PROJECT / "samples" / "documents").glob("*.pdf"):
            shutil.copy(document, self.folder)

    def type(self, command: str) -> str:
        """Run a command that ends by itself and must leave with 0; returns stdout."""
        done = subprocess.run(
            ["bash", "-c", self._with_ports(command)], cwd=self.folder, env=self.env | self._settings(command),
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def leave_serving(self, command: str) -> str:
        """Start a command that serves and return what it says at first; `close` ends it with Ctrl-C, as a reader does."""
        log = self.folder / f"{len(list(self.folder.iterdir()))}.log"
        process = RealProcess(
            ["bash", "-c", f"exec env {self._with_ports(command)}"],
            log,
            self.env | self._settings(command),
            self.folder,
        )
        process.start()
        self._serving.callback(_interrupted, process, command)
        process.wait_until(lambda: served(command) in process.output, f"{command} is at work")
        return process.output

    def close(self) -> None:
        """End what serves."""
        self._serving.close()

    def begin(self, run: str, *, held: bool = False, rules: Sequence[Any] = (), **request: Any) -> str:
        """Start a plan of three steps, the second of which changes a file; `held` leaves its first call unanswered.

        `rules` say how else the model answers.
        """
        self.stack.api.script(hold=held, rules=[*rules, WRITES])

        async def started(client: Client) -> None:
            await client.start_workflow(
                "PlanAndExecuteWorkflow", {"plan": CHAIN, **request}, id=run, task_queue="agents"
            )

        self._ask(started)
        return run

    @cached_property
    def ended_one(self) -> str:
        """The id of a run that has ended, for all commands that only look."""
        return ended(self, "read")

    def status(self, run: str) -> RunStatus:
        """Return what the run's query `status` says."""
        found: RunStatus = self._ask(
            lambda client: client.get_workflow_handle(run).query("status", result_type=RunStatus)
        )
        return found

    def until(self, run: str, holds: Callable[[RunStatus], Any], what: str) -> str:
        """Wait until the status of a run is as it should be; returns the run's id."""
        try:
            wait_for(lambda: holds(self.status(run)), f"{run} {what}", interval=0.2)
        except AssertionError as late:
            raise AssertionError(f"{late}: {self.status(run)}") from late
        return run

    def _ask(self, asking: Callable[[Client], Any]) -> Any:
        async def connected() -> Any:
            return await asking(await Client.connect(self.stack.server.address, data_converter=pydantic_data_converter))

        return asyncio.run(connected())

    def _settings(self, command: str) -> dict[str, str]:
        """Return the settings that a guide says in words: who makes tokens, or decrypts, has the secret of the workers."""
        if "approver-token" in command:
            return {"APPROVER_SECRET": "it stands in a safe, and nowhere else"}
        if "codec-server" in command:  # the key that was made by the command before
            return {"PAYLOAD_KEYS": (self.folder / "secrets" / "payload_keys").read_text().strip()}
        return {}

    def _with_ports(self, command: str) -> str:
        for port, ours in self.ports.items():
            command = re.sub(rf"\b{port}\b", str(ours), command)
        default = {"inbox --serve": "8288", "codec-server": "8289"}
        return next(
            (f"{command} --port {self.ports[port]}" for end, port in default.items() if command.endswith(end)), command
        )


def _interrupted(process: RealProcess, command: str) -> None:
    process.send(signal.SIGINT)
    assert process.wait(60) in (0, 130), f"{command}\n{process.output}"


def at_work(desk: Desk, run: str) -> str:
    """Bring a run to where its first call is being made."""
    desk.begin(run, held=True)
    return desk.until(run, lambda status: "running" in str(status.steps), "is at work")


def at_a_gate(desk: Desk, run: str, **request: Any) -> str:
    """Bring a run to a gate: that of its budget, or of a checkpoint."""
    desk.begin(run, **(request or ONE_CALL))
    return desk.until(run, lambda status: status.gates, "waits at a gate")


def at_a_tool(desk: Desk, run: str) -> str:
    """Bring a run to the gate of a call that cannot be taken back."""
    desk.begin(run, rules=[MAILS, ASKS_THEN], plan=LETTER)
    return desk.until(run, lambda status: status.gates, "waits at the gate of a call")


def stands(desk: Desk, run: str) -> str:
    """Bring a run to where an approval stands, and it asks something."""
    at_a_tool(desk, run)
    desk.type(f"python starter.py approve {run} --as ada --stop-asking")
    return desk.until(run, lambda status: status.standing and status.questions, "asks a question")


def asks(desk: Desk, run: str) -> str:
    """Bring a run to a question of its agent."""
    desk.begin(run, rules=[ASKS], plan=LETTER)
    return desk.until(run, lambda status: status.questions, "asks a question")


def ended(desk: Desk, run: str) -> str:
    """Let a run go to its end."""
    desk.begin(run)
    return desk.until(run, lambda status: status.state == "completed", "has ended")


def failed(desk: Desk, run: str) -> str:
    """Let the last step of a run fail, which succeeds when it is tried again."""
    refusal = {"status": 400, "error_type": "invalid_request_error", "message": "not today"}
    desk.begin(run, rules=[{"user": "Write it up", "times": 2, **refusal}])
    return desk.until(run, lambda status: status.state == "failed", "has failed")


def free_ports(*of_the_text: str) -> dict[str, int]:
    """Return a free port for each that the guides name."""
    return {port: free_port() for port in of_the_text}
