"""What the stack remembers in its folder: a lock for as long as it runs, and `up.json` with ports, addresses and processes.

`up.json` outlives the stack, so that ports stay the same; whether it is true now is what the lock says.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.private_files import private_folder


class Child(BaseModel):
    """A process of the stack; `started` tells it from a later one of the same id."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: str


class StackState(BaseModel):
    """The content of `up.json`; `pid` is the supervisor's, `ready` whether every part has been healthy."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    address: str
    ui: str
    model_url: str | None = None
    pid: int
    ready: bool = False
    worker: bool = True
    task_queue: str = ""
    ports: dict[str, int] = Field(default_factory=dict)
    children: dict[str, Child] = Field(default_factory=dict)

    def run_url(self, workflow_id: str) -> str:
        """Return the address of a run in the Web UI."""
        return f"{self.ui}/namespaces/default/workflows/{workflow_id}"


def read_state(directory: Path) -> StackState | None:
    """Return what `up.json` says, true or not any more; None where there is none or it cannot be read."""
    try:
        return StackState.model_validate_json((directory / "up.json").read_bytes())
    except (OSError, ValidationError):
        return None


def write_state(directory: Path, state: StackState) -> None:
    """Replace `up.json` in one step, so that no reader sees half of it."""
    draft = directory / "up.json.new"
    draft.write_text(json.dumps(state.model_dump(mode="json"), indent=2) + "\n")
    draft.replace(directory / "up.json")


def take_lock(directory: Path) -> IO[bytes] | None:
    """Take the folder's lock until the file is closed or this process ends; None if another stack holds it."""
    private_folder(directory)
    handle = (directory / "up.lock").open("ab")
    while not _locked(handle, fcntl.LOCK_EX):
        # Readers of `up.json` share the lock for an instant, and only a stack keeps them out.
        if not _locked(handle, fcntl.LOCK_SH):
            handle.close()
            return None
        fcntl.flock(handle, fcntl.LOCK_UN)
        time.sleep(0.01)
    return handle


def _locked(handle: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def identify(pid: int) -> Child | None:
    """Return a running process with the time of its start, in words of the system; None if there is none."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # Fields 3 (state) and 22 (start, in ticks since boot) of proc(5); a zombie has ended already.
        return None if fields[0] == "Z" else Child(pid=pid, started=fields[19])
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    started = " ".join(shown.stdout.split())
    return Child(pid=pid, started=started) if started else None


def end_leftovers(state: StackState | None) -> list[str]:
    """Kill processes of a stack whose supervisor was killed where the system could not do it; returns the parts' names."""
    ended = []
    for name, child in (state.children if state else {}).items():
        if identify(child.pid) == child:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            deadline = time.monotonic() + 5.0
            while identify(child.pid) == child and time.monotonic() < deadline:
                time.sleep(0.01)  # Its port and its database are free only when it is gone.
            ended.append(name)
    return ended
