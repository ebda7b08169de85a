"""A whole stack of real processes for tests of the command line: server, worker, the double of the Messages API."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
