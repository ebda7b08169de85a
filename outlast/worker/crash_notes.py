"""Crash notes: which activities a worker process is running, in a file, so that the next process hands them back after a crash.

Without them only the heartbeat time-out shows that a worker died, and a short one takes a busy worker for a dead one and pays its
calls again. The file of a living process is locked, and the kernel frees the lock when the process ends, however it ends. Locks
may not reach across a shared disk, so the notes of other machines are left alone.
"""

import asyncio
import fcntl
import json
import logging
import os
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio import activity, worker
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetStickyTaskQueueRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from outlast.errors import ErrorKind

FOLDER = "crash-notes"
SUFFIX = ".notes"
AT_ONCE = timedelta(milliseconds=1)
"""How long the next attempt of a handed-back activity waits."""
LINES_KEPT = 10_000
"""Lines after which a file is written anew with what still runs."""
RPC_SECONDS = timedelta(seconds=10)
PARALLEL = 32

_log = logging.getLogger(__name__)

Run = tuple[str, str]
"""A workflow id and a run id."""


@dataclass
class CrashNotes:
    """The notes of this process; closing them deletes the file."""

    path: Path
    _file: int | None
    _origin: dict[str, str] = field(default_factory=dict)
    _running: dict[str, Run] = field(default_factory=dict)
    _lines: int = 0

    @classmethod
    def open(cls, directory: Path, namespace: str = "") -> "CrashNotes":
        """Begin a file of one's own in a state directory and lock it until this process ends.

        Where no file can be made or locked there are no notes, and a dead worker is noticed by its heartbeats.
        """
        path = directory / FOLDER / f"{os.getpid()}-{uuid4().hex[:12]}{SUFFIX}"
        # Created under another name: between creation and lock, somebody who starts now would take it for a dead one's.
        hidden = path.with_suffix(".new")
        file = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(file, _line(_origin(namespace)))
            hidden.rename(path)
        except OSError as error:
            _log.warning("no notes of running calls can be kept in %s: %s", directory, error)
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            if file is not None:
                os.close(file)
            file = None
        return cls(path, file, _origin(namespace))

    def begin(self, token: bytes, run: Run) -> None:
        """Note that an activity runs; costs one write to the page cache, which outlives the process."""
        key = b64encode(token).decode()
        self._running[key] = run
        self._write({"begun": key, "run": run})

    def end(self, token: bytes) -> None:
        """Note that it has ended, or is about to be reported."""
        key = b64encode(token).decode()
        self._running.pop(key, None)
        self._write({"ended": key})

    def close(self) -> None:
        """Delete the file: this process ends in order."""
        if self._file is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        self._lines += 1
        # A full disk costs a note, never a call.
        with suppress(OSError):
            if self._lines > LINES_KEPT:
                os.ftruncate(self._file, 0)
                self._lines = len(self._running)
                whole = [_line(self._origin)]
                whole += [_line({"begun": key, "run": run}) for key, run in self._running.items()]
                os.write(self._file, b"".join(whole))
            else:
                os.write(self._file, _line(line))


class NotesCrashes(worker.Interceptor):
    """Notes every activity that the worker runs; local ones belong to their workflow task and need no note."""

    def __init__(self, notes: CrashNotes) -> None:
        self._notes = notes

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Stand around each activity of the worker."""
        return _Noted(next, self._notes)


class _Noted(worker.ActivityInboundInterceptor):
    def __init__(self, inner: worker.ActivityInboundInterceptor, notes: CrashNotes) -> None:
        super().__init__(inner)
        self._notes = notes

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        if info.is_local or not info.workflow_id or not info.workflow_run_id:
            return await super().execute_activity(input)
        self._notes.begin(info.task_token, (info.workflow_id, info.workflow_run_id))
        try:
            return await super().execute_activity(input)
        finally:
            self._notes.end(info.task_token)


async def hand_back(directory: Path, client: Client) -> int:
    """Hand back what dead workers of this state directory were running; returns how many activities that were.

    Each one fails retryably, so that it starts again at once, and its run waits no longer for the dead worker's cache.
    """
    tokens: list[bytes] = []
    runs: dict[Run, None] = {}
    for path in sorted((directory / FOLDER).glob(f"*{SUFFIX}")):
        for token, run in _dead(path, client.namespace):
            tokens.append(token)
            runs[run] = None
    turn = asyncio.Semaphore(PARALLEL)
    handed = await asyncio.gather(*(_fail(client, token, turn) for token in tokens))
    await asyncio.gather(*(_forget_cache(client, run, turn) for run in runs))
    if any(handed):
        _log.warning("%d activities of a worker that died are started again", sum(handed))
    return sum(handed)


def _dead(path: Path, namespace: str | None = None) -> Iterator[tuple[bytes, Run]]:
    """Read and delete the notes of a process that is gone; nothing where it lives, or somebody else reads them now.

    Nothing either of what only another machine can know to be dead, or what belongs to another namespace.
    """
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:  # gone meanwhile, or another user's
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        text = b"".join(iter(lambda: os.read(file, 1 << 20), b"")).decode(errors="replace")
        if not _is_ours(text, namespace):
            return
        path.unlink(missing_ok=True)
    except OSError:  # it lives, or that cannot be found out
        return
    finally:
        os.close(file)
    yield from _running(text)


def _origin(namespace: str) -> dict[str, str]:
    """Return whose notes follow: those of a machine, under its present kernel, and of a namespace."""
    kernel = ""
    with suppress(OSError):
        kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"host": socket.gethostname(), "kernel": kernel, "namespace": namespace}


def _is_ours(text: str, namespace: str | None) -> bool:
    """Whether notes were written by this machine (or a container on it) and for that namespace, if one is given."""
    try:
        origin = json.loads(text.partition("\n")[0])
    except ValueError:
        return True
    if not isinstance(origin, dict) or "host" not in origin:
        return True
    mine = _origin("")
    here = origin["host"] == mine["host"] or bool(mine["kernel"] and origin.get("kernel") == mine["kernel"])
    return here and (namespace is None or origin.get("namespace") in ("", namespace))


def _running(text: str) -> list[tuple[bytes, Run]]:
    """Return what had begun and not ended; a line that was cut off by the crash is left out."""
    running: dict[str, Run] = {}
    for line in text.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            note = json.loads(line)
            if "ended" in note:
                running.pop(note["ended"], None)
            else:
                workflow_id, run_id = note["run"]
                running[note["begun"]] = (workflow_id, run_id)
    return [(b64decode(key), run) for key, run in running.items()]


async def _fail(client: Client, token: bytes, turn: asyncio.Semaphore) -> bool:
    lost = ApplicationError("the worker process that ran it died", type=ErrorKind.WORKER_LOST, next_retry_delay=AT_ONCE)
    async with turn:
        try:
            await client.get_async_activity_handle(task_token=token).fail(lost, rpc_timeout=RPC_SECONDS)
        except RPCError:  # it was reported before the crash, its time was up, or its run has ended
            return False
    return True


async def _forget_cache(client: Client, run: Run, turn: asyncio.Semaphore) -> None:
    request = ResetStickyTaskQueueRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=run[0], run_id=run[1])
    )
    async with turn:
        with suppress(RPCError):
            await client.workflow_service.reset_sticky_task_queue(request, timeout=RPC_SECONDS)


def _line(note: dict[str, Any]) -> bytes:
    return json.dumps(note).encode() + b"\n"
