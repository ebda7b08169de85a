"""The processes of a chaos run: how they are launched, what they said, and what they leave behind."""

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

import psutil

from outlast.processes.leash import leashed

POLL = 0.05
COMPLAINTS = (
    "Traceback (most recent call last)",
    "unexpected, please report this",
    "panicked at",
    "Fatal Python error",
)
"""What no process should ever write."""


class Launched(Protocol):
    """What is needed of a process: as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...  # noqa: D102

    def poll(self) -> int | None: ...  # noqa: D102

    def send_signal(self, sig: signal.Signals) -> None: ...  # noqa: D102


Launch: TypeAlias = Callable[[Sequence[str], Mapping[str, str], Path], Launched]
"""Starts a command with an environment; both its streams are appended to a file."""


def launch(command: Sequence[str], env: Mapping[str, str], log: Path) -> Launched:
    """Start a command, by this interpreter where it is a Python file, so that it ends with this process."""
    argv = [sys.executable, *command] if command[0].endswith(".py") else list(command)
    argv[0] = shutil.which(argv[0]) or argv[0]
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - the caller's own command
            leashed(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


@dataclass
class Process:
    """A process that is started, struck and started again; each start has a number of its own."""

    name: str
    env: Mapping[str, str]
    log: Path
    launch: Launch = launch
    number: int = 0
    stopped: bool = True
    """Whether it is meant to be down."""
    _launched: Launched | None = None
    _from: int = 0
    _read: int = 0

    def start(self, command: Sequence[str], **more: str) -> None:
        """Start it, with more variables in its environment."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        self._from = self.log.stat().st_size
        self.number += 1
        self.stopped = False
        self._launched = self.launch(command, {**self.env, **more}, self.log)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._launched is not None, f"{self.name} was not started"
        return self._launched.pid

    @property
    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return None if self._launched is None else self._launched.poll()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._launched is not None and self.code is None

    def said(self) -> str:
        """What it has written since its last start."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode(errors="replace")

    def complaints(self) -> list[str]:
        """Return what it wrote since this was last asked and should not have, with the lines that follow."""
        with suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(self._read)
            text = file.read().decode(errors="replace")
            self._read = file.tell()
            return [f"{self.name}: {text[at : at + 3000]}" for what in COMPLAINTS for at in _places(text, what)]
        return []

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.running:
            assert self._launched is not None
            with suppress(ProcessLookupError):
                self._launched.send_signal(number)

    async def ended(self, within: float = 60.0) -> int | None:
        """Wait for its end; returns the exit code, or None if it still runs."""
        deadline = time.monotonic() + within
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110 - no event says that a process has ended
            await asyncio.sleep(POLL)
        return self.code

    async def kill(self) -> None:
        """End it as a crash would."""
        self.stopped = True
        self.send(signal.SIGKILL)
        await self.ended()


def _places(text: str, what: str) -> list[int]:
    found, at = [], text.find(what)
    while at >= 0:
        found.append(at)
        at = text.find(what, at + 1)
    return found


@dataclass(frozen=True)
class Children:
    """What a process had started when it was looked at."""

    parent: str
    found: list[psutil.Process] = field(default_factory=list)

    @classmethod
    def of(cls, process: Process) -> "Children":
        """Look at a process that runs."""
        with suppress(psutil.Error):
            return cls(process.name, psutil.Process(process.pid).children(recursive=True))
        return cls(process.name)

    async def orphans(self, within: float = 5.0) -> list[str]:
        """Return those that still run after so many seconds, and end them."""
        deadline = time.monotonic() + within
        left = self.found
        while left and time.monotonic() < deadline:
            await asyncio.sleep(POLL)
            left = [each for each in left if _runs(each)]
        named = [f"{self.parent} left {_command(each)}" for each in left]
        for each in left:
            with suppress(psutil.Error):
                each.kill()
        return named


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:200]
    except psutil.Error:
        return str(process.pid)
