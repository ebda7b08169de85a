"""One run of a part: started on a leash in its own session, its output in its log, ended by SIGTERM or by SIGKILL.

Its own session keeps a Ctrl-C of the terminal away from the part, so that the supervisor decides the order.
"""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from outlast.devstack.health import answers
from outlast.devstack.parts import Part
from outlast.devstack.state import Child, identify
from outlast.processes.leash import leashed

POLL = 0.05
"""Seconds between looks at a process: no thread to wait in, and nothing that a cancellation could lose."""

TAIL_LINES = 15
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class NotStartedError(Exception):
    """A part did not get healthy; the message holds its last lines and names its log."""


def rotate(log: Path) -> None:
    """Set a log of the last time aside as `.1`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))


class Process:
    """A running part. Make it in the main thread: the leash hangs on the thread that makes it."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.began = time.monotonic()
        with part.log.open("ab") as log:
            self._log_start = log.tell()
            self._popen = subprocess.Popen(  # noqa: S603 - our own command line
                leashed(part.command),
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.child = identify(self._popen.pid) or Child(pid=self._popen.pid, started="")

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def how_it_ended(self) -> str:
        """Describe its exit code or signal."""
        code = self._popen.returncode
        if code is not None and code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    def last_lines(self) -> list[str]:
        """Return the last lines that it wrote, without control characters."""
        with self.part.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 65_536))
            text = log.read().decode(errors="replace")
        lines = [_CONTROL.sub("", line).rstrip()[:400] for line in text.splitlines()]
        return [line for line in lines if line][-TAIL_LINES:]

    def wrote(self, text: str) -> bool:
        """Whether it has written that text."""
        with self.part.log.open("rb") as log:
            log.seek(self._log_start)
            return text.encode() in log.read(65_536)

    async def healthy(self) -> None:
        """Wait until all its checks answer; raises NotStartedError where it ends before, or takes longer than `ready_within`."""
        deadline = self.began + self.part.ready_within
        while self.running and time.monotonic() < deadline:
            if all([await answers(check) for check in self.part.checks.values()]):
                return
            await asyncio.sleep(POLL)
        raise NotStartedError(
            f"{self.part.name} did not start: {' '.join(self.last_lines()[-2:])}; log: {self.part.log}"
        )

    async def ended(self) -> None:
        """Wait for its end, and end what it may have started."""
        while self.running:  # noqa: ASYNC110 - see POLL
            await asyncio.sleep(POLL)
        self._signal(signal.SIGKILL)

    async def end(self, hurry: Callable[[], bool]) -> None:
        """Ask it to end; kill it when its grace is over, or as soon as `hurry` says so."""
        deadline = time.monotonic() + self.part.grace
        if self.running and not hurry():
            self._signal(signal.SIGTERM)
        while self.running and not hurry() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        self._signal(signal.SIGKILL)
        await self.ended()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses the group of a process that has just ended.
            os.killpg(self._popen.pid, number)


@asynccontextmanager
async def running(*parts: Part) -> AsyncIterator[list[Process]]:
    """Run parts for as long as the block lasts, which begins when all are healthy; raises NotStartedError."""
    processes: list[Process] = []
    try:
        for part in parts:
            rotate(part.log)
            processes.append(Process(part))
        for process in processes:
            await process.healthy()
        yield processes
    finally:
        await asyncio.gather(*(process.end(lambda: False) for process in processes))
