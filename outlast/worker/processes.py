"""`worker.py --processes N`: several worker processes on one machine, with one health and one metrics endpoint.

One process computes on one core. A process that dies is replaced, and the next one to start takes over what it was running
(`outlast.worker.crash_notes`). SIGTERM and SIGINT reach all of them: nothing new starts, and running model calls finish.
"""

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from outlast.processes.leash import leashed
from outlast.processes.ports import PortError, listen

HOST = "127.0.0.1"
ASKED_SECONDS = 3.0
"""How long a worker process has to answer a question for health or metrics."""
BACKOFF = (0.1, 1.0, 5.0, 30.0)
"""Seconds before the first, second, … replacement of a process that keeps dying; a minute of life begins anew."""
SETTLED_SECONDS = 60.0
PER_CORE, LEAST_BOUND = 4, 16
"""Most processes for each core, and how many may always be asked for."""
WRONG_SETTINGS, NO_SERVER = 2, 3
"""Exit codes of a worker that starting it again cannot help, as long as it has never been healthy."""

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?(?P<rest> .*)$")
_SUFFIX = re.compile(r"_(?:bucket|sum|count|total)$")


def how_many(written: str) -> int:
    """Read the number of processes: a number, or `auto` for one on each core that may be used.

    Raises ArgumentTypeError, which argparse reports as wrong usage.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # One computes on one core, so far more of them than cores only take memory.
    return cores if written == "auto" else between(1, max(LEAST_BOUND, PER_CORE * cores), ", or auto")(written)


def between(lowest: int, highest: int, otherwise: str = "") -> Callable[[str], int]:
    """Return what reads a whole number within bounds; it raises ArgumentTypeError, as `how_many`."""

    def read(written: str) -> int:
        # Python refuses to read a number of thousands of digits.
        if written.isdecimal() and len(written) <= len(str(highest)) and lowest <= int(written) <= highest:
            return int(written)
        raise argparse.ArgumentTypeError(f"{written!r}: give a number from {lowest} to {highest}{otherwise}")

    return read


def program() -> list[str]:
    """Return how Python runs this program once more: its module if it was started with `-m`, else its file."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return ["-m", spec.name] if spec else [sys.argv[0]]


@dataclass
class Pool:
    """`count` worker processes with the same `arguments`; without a port nothing is served there."""

    count: int
    arguments: Sequence[str]
    host: str = HOST
    health_port: int | None = None
    metrics_port: int | None = None
    code: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _ports: dict[int, tuple[int, int]] = field(default_factory=dict)

    async def run(self) -> int:
        """Work until a signal stops it; returns the exit code: 0, or that of a worker that cannot start.

        Raises PortError where a port cannot be taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        servers = [
            await asyncio.start_server(answer, sock=listen(self.host, port, option))
            for answer, port, option in (
                (self._health, self.health_port, "--health-port"),
                (self._metrics, self.metrics_port, "--metrics-port"),
            )
            if port is not None
        ]
        await asyncio.gather(*(self._keep(index) for index in range(self.count)))
        for server in servers:
            server.close()
        return self.code

    async def _keep(self, index: int) -> None:
        """Keep one process running until the end; a second process that cannot start ends all of them."""
        deaths, healthy_once = 0, False
        while not self._stop.is_set():
            begun = time.monotonic()
            process = await self._start(index)
            watching = asyncio.create_task(self._first_health(index))
            await self._until_end(process)
            healthy_once = healthy_once or (watching.done() and watching.result())
            watching.cancel()
            if self._stop.is_set():
                return
            if process.returncode in (WRONG_SETTINGS, NO_SERVER) and not healthy_once and not self._lost_a_port(index):
                self.code = process.returncode
                self._stop.set()
                return
            deaths = 1 if time.monotonic() - begun > SETTLED_SECONDS else deaths + 1
            pause = BACKOFF[min(deaths, len(BACKOFF)) - 1]
            ended = f"worker process {index} ended with {process.returncode}"
            print(f"{ended}; the next one starts in {pause:g} s", flush=True)  # noqa: T201
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    def _lost_a_port(self, index: int) -> bool:
        """Whether somebody else took a port that was free when it was chosen for the process: the next one gets others."""
        try:
            for port in self._ports[index]:
                listen(HOST, port).close()
        except PortError:
            return True
        return False

    async def _start(self, index: int) -> Process:
        self._ports[index] = (_free_port(), _free_port())
        health, metrics = self._ports[index]
        ports = ["--host", HOST, "--health-port", str(health)]
        ports += ["--metrics-port", str(metrics)] if self.metrics_port is not None else []
        # In a session of its own: Ctrl-C in a terminal reaches this process alone, which passes it on once. A process whose
        # keeper was killed finishes what it has in hand, and ends.
        return await asyncio.create_subprocess_exec(
            *leashed([sys.executable, *program(), *self.arguments, *ports], signal.SIGTERM), start_new_session=True
        )

    async def _until_end(self, process: Process) -> None:
        """Wait until a process has ended; terminate it once all are to stop."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with suppress(ProcessLookupError):
                process.terminate()
        await ended
        stopping.cancel()

    async def _first_health(self, index: int) -> bool:
        while await self._asked(index, 0) is None:  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.2)
        return True

    async def _asked(self, index: int, which: int, path: str = "/") -> str | None:
        """Return what a process answers at its health (0) or metrics (1) port, or None."""
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(ASKED_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, self._ports[index][which])
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).decode(errors="replace").partition("\r\n\r\n")
                writer.close()
                return body if " 200 " in head.partition("\r\n")[0] else None
        return None

    async def _all(self, which: int, path: str = "/") -> list[str | None]:
        return await asyncio.gather(*(self._asked(index, which, path) for index in sorted(self._ports)))

    async def _health(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer 200 where all processes do."""
        well = sum(answer is not None for answer in await self._all(0))
        status = "200 OK" if well == self.count else "503 Service Unavailable"
        await _respond(reader, writer, status, f"{well} of {self.count} worker processes answer\n")

    async def _metrics(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer with the metrics of all processes, each series labelled with its process."""
        answers = await self._all(1, "/metrics")
        texts = {str(index): text for index, text in enumerate(answers) if text is not None}
        await _respond(reader, writer, "200 OK", merged(texts))


def merged(texts: dict[str, str]) -> str:
    """Merge Prometheus texts, keyed by process: every series gets the label `process`, every family its header once."""
    headers: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        for line in text.splitlines():
            if line.startswith("# "):
                _, kind, name, *_ = line.split(" ", 3)
                known = headers.setdefault(name, [])
                if kind in ("HELP", "TYPE") and line not in known:
                    known.append(line)
            elif match := _SAMPLE.match(line):
                name = match["name"]
                family = name if name in headers else _SUFFIX.sub("", name)
                labels = ",".join(filter(None, (match["labels"], f'process="{process}"')))
                samples.setdefault(family, []).append(f"{name}{{{labels}}}{match['rest']}")
    lines = [line for family, found in samples.items() for line in (*headers.get(family, ()), *found)]
    return "\n".join([*lines, ""])


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str, text: str) -> None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ASKED_SECONDS):
            await reader.readline()
            body = text.encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
    writer.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
