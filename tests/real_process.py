"""One real process of a test: its environment, its output in a file, its end, and how to wait for it.

A variable of the developer's shell makes such tests lie, so every process gets an environment made here.
"""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

T = TypeVar("T")
PATIENCE = 90.0
"""Seconds within which what a test waits for must have come: a bound for machines that do other work, which nobody waits out."""

PROJECT = Path(__file__).resolve().parent.parent
OURS = (
    *("TEMPORAL_", "ANTHROPIC_", "OTEL_", "CONTENT_", "PAYLOAD_", "MODEL", "AGENTS_DIR", "STATE_DIR", "TASK_QUEUE"),
    *("WORKSPACE_", "LIBRARY_", "SEARCH", "SEARXNG_", "BRAVE_", "ARXIV_", "NEWS_", "FETCH_", "DATABASE_", "MCP_"),
    *("HTTP_CALL_", "SMTP_", "MAIL_", "WEB_SEARCH", "RESEARCH_", "QUERY_", "WORKFLOW_SANDBOX"),
    *("SERVE_", "WEBHOOK_", "APPROVER", "NOTIFY_"),
)
"""Beginnings of variables that the product reads and that must not come in from outside."""


NOTHING_OUTSIDE = {
    "ARXIV_URL": "http://127.0.0.1:9/arxiv",
    "NEWS_SEARCH_URL": "http://127.0.0.1:9/news?q={query}",
    "WEB_SEARCH": "off",
}
"""Sources that would ask the world by default: in tests nobody listens there, so nothing leaves the machine."""


class Born(Protocol):
    """What tests need of a process that runs: as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: signal.Signals) -> None: ...


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on.

    It is below those that the system gives to connections: one of these could take it before a server listens there.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", 15_000 + secrets.randbelow(17_000)))
            return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def command_of(process: psutil.Process) -> str:
    """Return a process's command line, empty for one that has ended (which psutil answers with an exception)."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def clean_environment(**settings: str | None) -> dict[str, str]:
    """Return this process's environment without the product's variables, plus `settings` (None leaves one out)."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kept.pop("PYTEST_CURRENT_TEST", None)  # whatever stands in the name of a test is none of the product's business
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # importing everything anew takes seconds
    # Several stacks run at once in tests, beside that of a developer, so none of them takes the usual ports; and
    # a worker that is missing is missing on purpose.
    kept |= {"UP_PORT": "0", "UP_UI_PORT": "0", "WORKER_WAIT": "0", "QUERY_WAIT": "15", "GATE_DEADLINE": "300"}
    kept |= {**NOTHING_OUTSIDE, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "160"}
    return kept | {name: value for name, value in settings.items() if value is not None}


def wait_for(condition: Callable[[], T], what: str, *, timeout: float = PATIENCE, interval: float = 0.05) -> T:
    """Poll until the condition gives something true and return that; fails after `timeout` seconds, saying `what`."""
    deadline = time.monotonic() + timeout
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:.0f} s for {what}")
        time.sleep(interval)


def _hears_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class RealProcess:
    """A process whose output (both streams) goes to a file; `start` may be called again after it ended."""

    command: Sequence[str]
    log: Path
    env: Mapping[str, str]
    cwd: Path = PROJECT
    _popen: Born | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def output(self) -> str:
        """What it has written since its last start."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace")

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._running().poll()

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._log_start = out.tell()
        self._popen = self._begin()

    def _begin(self) -> Born:
        with self.log.open("ab") as out:
            return subprocess.Popen(
                list(self.command),
                cwd=self.cwd,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that.
                preexec_fn=_hears_ctrl_c,
            )

    def wait_until(self, ready: Callable[[], T], what: str, *, timeout: float = PATIENCE) -> T:
        """Poll as `wait_for`, and fail at once, with the output, if the process ends meanwhile."""

        def condition() -> T:
            found = ready()
            if not found and self.returncode is not None:
                raise AssertionError(f"ended with {self.returncode} before {what}:\n{self.output}")
            return found

        return wait_for(condition, what, timeout=timeout)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end and return the exit code."""
        return self._running().wait(timeout)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.send(signal.SIGKILL)
        self.wait()

    def send(self, number: signal.Signals) -> None:
        if self.returncode is None:
            self._running().send_signal(number)

    def stop(self, grace: float = 10.0) -> int:
        """Ask it to end (SIGTERM), kill it if it has not after `grace` seconds; returns the exit code."""
        self.send(signal.SIGTERM)
        try:
            return self.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()

    def _running(self) -> Born:
        assert self._popen is not None, "not started"
        return self._popen
