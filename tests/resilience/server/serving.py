"""A real server beside a real stack, its tokens, and a client that reads its events."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from outlast.server.access import Scope, new_token
from tests.forked import ForkedProcess
from tests.processes import PROJECT, free_port
from tests.stacks import Stack

MAILER = """---
name: mailer
description: Looks at files, asks people, and sends mail.
model: sonnet
tools: Glob, send_mail, AskUserQuestion
---
You send mail."""
EVERYTHING = "ada"
"""The caller whose token has all scopes."""


@dataclass
class Served:
    """The server, its stack, and a token of each caller: `ada` may do everything, the others what they are named for."""

    stack: Stack
    process: ForkedProcess
    url: str
    tokens: Mapping[str, str]
    client: httpx2.Client = field(default_factory=httpx2.Client)

    def ask(
        self, method: str, path: str, body: Any = None, who: str = EVERYTHING, timeout: float = 60, **headers: str
    ) -> httpx2.Response:
        """Send one request with the token of a caller ("" for none)."""
        given = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data: dict[str, Any] = {"json": body if body is not None else {}} if method == "POST" else {}
        return self.client.request(method, self.url + path, headers=given, timeout=timeout, **data)

    def start(self, workflow: str, body: Any, key: str, who: str = EVERYTHING) -> dict[str, Any]:
        """Start a run that must start."""
        answer = self.ask("POST", f"/workflows/{workflow}", body, who, Idempotency_Key=key)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def result(self, run: str) -> dict[str, Any]:
        """Wait for the result of a run."""
        answer = self.ask("GET", f"/runs/{run}/result?wait=30")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def restart(self) -> None:
        """Crash the server, and bring it back."""
        self.process.kill()
        self.begin()

    def begin(self) -> None:
        self.process.start()
        self.process.wait_until(lambda: "server ready" in self.process.output, "the server is ready")

    def events(
        self, run: str, after: str = "", most: int = 1_000_000, who: str = EVERYTHING, *, counted: str = "id"
    ) -> Iterator[dict[str, Any]]:
        """Read events until the stream ends, or so many were read; the connection is dropped then.

        Those with an id count, or all of them where `counted` is empty.
        """
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} | ({"Last-Event-ID": after} if after else {})
        with self.client.stream("GET", f"{self.url}/runs/{run}/events", headers=headers, timeout=30) as answer:
            assert answer.status_code in (200, 204), answer.status_code
            for event in parsed(answer.iter_lines()):
                if most <= 0:
                    return
                yield event
                most -= not counted or counted in event


def parsed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Read server-sent events."""
    event: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if not line and event:
            yield event
            event = {}
        elif name == "data":
            event["data"] = json.loads(value)
        elif name in ("id", "event"):
            event[name] = value


def with_mailer(directory: Path) -> dict[str, str]:
    """Return the settings of a worker that has an agent beside the usual ones: what it wants waits for people.

    Its mails go into the folder `mail`.
    """
    shutil.copytree(PROJECT / "agents", directory / "agents")
    (directory / "agents" / "mailer.md").write_text(MAILER)
    mail = {"SMTP_URL": f"maildir://{directory / 'mail'}", "MAIL_FROM": "us@example.org"}
    return {"AGENTS_DIR": str(directory / "agents"), **mail}


@contextmanager
def served_by(stack: Stack, directory: Path, *options: str, **settings: str) -> Iterator[Served]:
    """Run a server with its tokens."""
    made = {str(scope): new_token(str(scope), [scope]) for scope in Scope} | {
        EVERYTHING: new_token(EVERYTHING, list(Scope))
    }
    port = free_port()
    env = stack.env | {"SERVE_TOKENS": ",".join(entry for _, entry in made.values())} | settings
    process = ForkedProcess(
        command=["starter.py", "serve", "--port", str(port), *options], log=directory / "serve.log", env=env
    )
    served = Served(stack, process, f"http://127.0.0.1:{port}", {name: token for name, (token, _) in made.items()})
    try:
        served.begin()
        yield served
    finally:
        served.client.close()
        process.stop()
