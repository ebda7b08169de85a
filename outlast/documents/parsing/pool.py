"""A small pool of parser processes, and how content is handed to one of them.

Each slot is a thread that waits for one process, so neither the event loop nor the interpreter's lock is held while content is
parsed. A process is started when it is first needed, and replaced after `CALLS_EACH` pieces of content or when it ends.
"""

import asyncio
import atexit
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from outlast.documents.parsing import frames, limits
from outlast.documents.parsing.limits import Limit, ParsingStoppedError
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.processes.leash import leashed

SLOTS = max(2, min(4, os.cpu_count() or 1))
"""Pieces of content that one worker parses at the same time."""
CALLS_EACH = 100
"""Pieces of content that one process parses before it is replaced."""
WAITING_THREADS = 200
"""Most threads for checks that may have to wait for a parser (`off_loop`), made as they are needed: as many as a worker has
activities, so that checks which need no parser never wait for those that do."""

T = TypeVar("T")
_ROOT = str(Path(__file__).resolve().parents[3])


@dataclass(frozen=True)
class Job:
    """A task, its arguments and the content; `seconds` of computing time. `on_page` gets the progress, in another thread."""

    task: str
    data: bytes
    arguments: dict[str, Any] = field(default_factory=dict)
    seconds: float = limits.CPU_SECONDS
    on_page: Callable[[int], None] = lambda _: None


@dataclass(frozen=True)
class Parsed:
    """What a task gave."""

    result: dict[str, Any]
    texts: tuple[str, ...]


class ParserPool:
    """Runs jobs in a bounded number of processes, each with at most `memory` bytes more than it starts with."""

    def __init__(
        self, slots: int = SLOTS, *, memory: int = limits.MEMORY_BYTES, output: int = limits.OUTPUT_BYTES
    ) -> None:
        self._slots = ThreadPoolExecutor(slots, "parser")
        self._waiting = ThreadPoolExecutor(WAITING_THREADS, "parser-wait")
        self._memory = memory
        self._output = output
        self._idle: list[_Process] = []

    async def run(self, job: Job) -> Parsed:
        """Run a job; cancelling kills its process. Raises ParsingStoppedError, and the ApplicationErrors of the task."""
        held = _Held()
        future = self._slots.submit(self._work, job, held)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            held.give_up()
            raise

    def run_blocking(self, job: Job) -> Parsed:
        """Do the same, for a thread that may wait."""
        future: Future[Parsed] = self._slots.submit(self._work, job, _Held())
        return future.result()

    async def off_loop(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that may have to wait for a parser, in a thread that has nothing else to do."""
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)

    def close(self) -> None:
        """End the processes that have nothing to do."""
        while self._idle:
            self._idle.pop().end()

    def _work(self, job: Job, held: "_Held") -> Parsed:
        try:
            answer, body = self._answer(job, held, self._idle_process() or _Process(self._memory))
        except _EndedError as error:
            if held.given_up or not error.by_others:
                raise error.reason from None
            try:
                answer, body = self._answer(job, held, _Process(self._memory))
            except _EndedError as second:
                raise second.reason from None
        except OSError as error:
            raise retryable(ErrorKind.UNEXPECTED, f"no process can be started to parse in: {error}") from error
        return _parsed(answer, body, self._output)

    def _answer(self, job: Job, held: "_Held", process: "_Process") -> tuple[dict[str, Any], bytes]:
        usable = False
        try:
            held.take(process)
            answer, body = process.ask(job, self._output)
            usable = not answer["last"] and process.calls < CALLS_EACH
            return answer, body
        finally:
            held.process = None
            if usable and not held.given_up:
                self._idle.append(process)
            else:
                process.end()

    def _idle_process(self) -> "_Process | None":
        try:
            return self._idle.pop()
        except IndexError:
            return None


class _Held:
    """The process that works on a job, so that it can be ended from outside."""

    def __init__(self) -> None:
        self.process: _Process | None = None
        self.given_up = False

    def take(self, process: "_Process") -> None:
        self.process = process
        if self.given_up:
            process.kill()

    def give_up(self) -> None:
        self.given_up = True
        if (process := self.process) is not None:
            process.kill()


class _EndedError(Exception):
    """A process ended before it answered; `by_others` says that it was perhaps not the content's fault."""

    def __init__(self, reason: ParsingStoppedError, *, by_others: bool = False) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.by_others = by_others


class _Process:
    """One parser process, used by one thread at a time."""

    def __init__(self, memory: int) -> None:
        self.calls = 0
        self._memory = memory
        # In the middle of its work it does not look at its input, so the end of that is not enough to end it with its worker.
        # Of the environment it gets nothing: keys and addresses of the worker are none of a parser's business.
        self._process = subprocess.Popen(  # noqa: S603
            leashed([sys.executable, "-P", "-m", "outlast.documents.parsing.child", str(memory)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": _ROOT, "PYTHONUTF8": "1"},
            cwd="/",
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)

    def ask(self, job: Job, output: int) -> tuple[dict[str, Any], bytes]:
        """Run a job; gives the answer and its body. Raises _EndedError."""
        self.calls += 1
        header = {"task": job.task, "arguments": job.arguments, "seconds": job.seconds, "output": output}
        try:
            self._send(frames.pack(header, job.data))
            self._send(job.data)
            while "page" in (found := frames.read(self._take, output))[0]:
                job.on_page(int(found[0]["page"]))
        except TimeoutError:
            raise _EndedError(_too_slow(limits.SILENT_SECONDS)) from None
        except ValueError:
            raise _EndedError(_too_long(output)) from None
        except (OSError, EOFError):
            raise self._end_of(job) from None
        return found

    def kill(self) -> None:
        """End the process without waiting for it; its readers see its end."""
        self._process.kill()

    def end(self) -> None:
        """End the process, wait for that, and close its pipes."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _end_of(self, job: Job) -> _EndedError:
        """Return why the process has ended."""
        self._process.kill()
        status = self._process.wait()
        if status == limits.MEMORY_EXIT:
            return _EndedError(
                ParsingStoppedError(Limit.MEMORY, f"needs more than {self._memory // 1024**2} MB of memory to be read")
            )
        if status == -signal.SIGXCPU:
            return _EndedError(_too_slow(job.seconds))
        # A stop that goes to all of a group (Ctrl-C, a supervisor) also finds a process that cannot ignore it yet.
        killed = -status in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        why = "is ended by the system, perhaps for want of memory" if killed else f"ends with status {status}"
        crash = ParsingStoppedError(Limit.CRASH, f"cannot be read: the process that reads it {why}")
        return _EndedError(crash, by_others=killed)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            _wait(self._in, select.POLLOUT)
            view = view[os.write(self._in, view[:_AT_ONCE]) :]

    def _take(self, length: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < length:
            _wait(self._out, select.POLLIN)
            piece = os.read(self._out, min(length - len(pieces), _AT_ONCE))
            if not piece:
                raise EOFError
            pieces += piece
        return bytes(pieces)


_AT_ONCE = 1024 * 1024


def _wait(descriptor: int, event: int) -> None:
    # Not select(): a worker with many connections has descriptors beyond its range.
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(limits.SILENT_SECONDS * 1000):
        raise TimeoutError


def _parsed(answer: dict[str, Any], body: bytes, output: int) -> Parsed:
    if answer.get("stopped"):
        raise _too_long(output)
    if "failed" in answer:
        build = non_retryable if answer["final"] else retryable
        raise build(ErrorKind(answer["failed"]), answer["message"])
    texts, start = [], 0
    for length in answer["lengths"]:
        texts.append(body[start : start + length].decode())
        start += length
    return Parsed(answer["result"], tuple(texts))


def _too_slow(seconds: float) -> ParsingStoppedError:
    return ParsingStoppedError(Limit.TIME, f"takes more than {seconds:.0f} s of computing to be read")


def _too_long(output: int) -> ParsingStoppedError:
    return ParsingStoppedError(Limit.OUTPUT, f"holds more than {output // 1024**2} MB of text")


PARSERS = ParserPool()
"""The parsers of this process."""
atexit.register(PARSERS.close)
