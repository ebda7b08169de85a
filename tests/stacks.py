"""A whole stack of real processes for tests of the command line: server, worker, the double of the Messages API."""

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from tests.conftest import binary
from tests.processes import (
    DevServer,
    MessagesApi,
    RealProcess,
    dev_server,
    messages_api,
    stack_environment,
    starter,
    worker,
)


@dataclass(frozen=True)
class Stack:
    """The running processes and the environment that a starter needs to find them."""

    directory: Path
    server: DevServer
    api: MessagesApi
    worker: RealProcess
    env: dict[str, str]

    def run(self, *arguments: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run one starter command to its end."""
        return starter(*arguments, env=self.env | settings, stdin=stdin)

    def done(self, *arguments: str, stdin: str = "") -> str:
        """Run one starter command that must leave with 0; returns stdout."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == 0, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def json(self, *arguments: str) -> Any:
        """Run one starter command with --json that must leave with 0; returns the data."""
        return json.loads(self.done(*arguments, "--json"))

    def temporal(self, *arguments: str) -> str:
        """Run a command of Temporal's own command line that must succeed; returns stdout."""
        ended = subprocess.run(
            [binary("temporal"), *arguments], env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, f"{arguments}: {ended.stderr}"
        return ended.stdout

    def runs(self) -> list[str]:
        """The ids of all runs there are."""
        return [run["id"] for run in self.json("list", "--limit", "1000")]

    @contextmanager
    def lent(self) -> "Iterator[Stack]":
        """Lend it to one test: the model is as it was started, and what the test leaves running ends with it.

        A run that goes on after a test that failed would take its calls, and the machine, into the tests after it.
        """
        self.api.reset()
        yield self
        asyncio.run(self._end_runs())
        self.api.reset()

    async def _end_runs(self) -> None:
        client = await Client.connect(self.server.address)
        async for run in client.list_workflows("ExecutionStatus = 'Running'"):
            with suppress(RPCError):  # it has just ended
                await client.get_workflow_handle(run.id).terminate("its test has ended")


@contextmanager
def whole_stack(
    directory: Path, *, options: Sequence[str] = (), program: str = "worker.py", **settings: str
) -> Iterator[Stack]:
    """Run a stack with everything it writes below `directory`.

    `settings` are for the worker's environment, `options` further flags of the server, `program` is the worker.
    """
    with (
        dev_server(directory, options=options) as server,
        messages_api(directory) as api,
        worker(directory, server, api, program=program, **settings) as working,
    ):
        yield Stack(directory, server, api, working, stack_environment(directory, server, api))
