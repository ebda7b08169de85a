"""Real processes for tests: the dev server, a worker, the double of the Messages API, and the starter. Each ends with its block.

    with dev_server(tmp_path) as server, messages_api(tmp_path) as api, worker(tmp_path, server, api) as working:
        done = starter("plan", "a task", env=stack_environment(tmp_path, server, api))
        assert done.returncode == 0, done.stderr
        assert len(api.hits()) == 4

`server.kill()` and `server.start()` crash it and bring it back on its database; `api.script(...)` changes the answers.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forked import Forked, ForkedProcess
from tests.real_process import PATIENCE, PROJECT, RealProcess, clean_environment, free_port, wait_for

__all__ = [
    "EVERY_WORKER",
    "PROJECT",
    "DevServer",
    "MessagesApi",
    "RealProcess",
    "clean_environment",
    "dev_server",
    "free_port",
    "messages_api",
    "running_starter",
    "stack_environment",
    "starter",
    "wait_for",
    "worker",
]

EVERY_WORKER = "tests/doubles/every_worker.py"
"""A worker that serves refunds too."""
SERVER_PRAGMAS = ("journal_mode=wal", "synchronous=normal")


@dataclass
class DevServer(RealProcess):
    """A Temporal dev server on a database file; `kill()` then `start()` brings it back with everything it had."""

    address: str = ""
    ui_port: int | None = None

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, "the dev server answers")

    def stop(self, grace: float = 10.0) -> int:
        """End it at once: nobody asks its database for anything any more, and to close it takes a second."""
        self.kill()
        return self.wait(grace)

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return False  # each question costs a good part of what the server itself computes meanwhile
        command = [_temporal(), "operator", "namespace", "describe", "-n", "default", "--address", self.address]
        asked = subprocess.run(command, env=clean_environment(), capture_output=True, check=False)
        return asked.returncode == 0


@contextmanager
def dev_server(directory: Path, *, options: Sequence[str] = (), ui: bool = False) -> Iterator[DevServer]:
    """Run a dev server with its database in `directory`; `options` are further flags, `ui` serves the Web UI too."""
    port, ui_port = free_port(), free_port() if ui else None
    pragmas = [part for pragma in SERVER_PRAGMAS for part in ("--sqlite-pragma", pragma)]
    server = DevServer(
        command=[
            *(_temporal(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)),
            *("--db-filename", str(directory / "temporal.db"), "--log-level", "error", *pragmas),
            *(("--ui-port", str(ui_port)) if ui_port else ("--headless",)),
            *options,
        ],
        log=directory / "server.log",
        env=clean_environment(),
        address=f"127.0.0.1:{port}",
        ui_port=ui_port,
    )
    with _ended(server):
        yield server


@dataclass
class MessagesApi(ForkedProcess):
    """The double of the Messages API; what `script` takes stands in `outlast.testing.messages_api.double`."""

    url: str = ""

    def start(self) -> None:
        super().start()
        self.wait_until(self._answers, "the Messages API double answers")

    def hits(self) -> list[dict[str, Any]]:
        """Every call so far, oldest first."""
        found: list[dict[str, Any]] = json.loads(self._ask("/hits"))
        return found

    def script(self, **changes: Any) -> None:
        """Change how it answers from now on."""
        self._ask("/script", changes)

    def reset(self) -> None:
        """Forget hits and scripts, and go back to how it was started."""
        self._ask("/reset", {})

    def _answers(self) -> bool:
        try:
            return self._ask("/health") == b"ok"
        except urllib.error.URLError:
            return False

    def _ask(self, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=10) as answered:
            return bytes(answered.read())


@contextmanager
def messages_api(directory: Path, *, latency: float = 0.0) -> Iterator[MessagesApi]:
    """Run the double of the Messages API; `latency` in seconds for each answer."""
    port = free_port()
    api = MessagesApi(
        command=["outlast/testing/messages_api/double.py", "--port", str(port), "--latency", str(latency)],
        log=directory / "messages_api.log",
        env=clean_environment(),
        url=f"http://127.0.0.1:{port}",
    )
    with _ended(api):
        yield api


def stack_environment(
    directory: Path, server: DevServer | str, api: MessagesApi | str, **settings: str | None
) -> dict[str, str]:
    """Return the environment that worker and starter share: addresses, and state and content below `directory`."""
    defaults: dict[str, str | None] = {
        "TEMPORAL_ADDRESS": server if isinstance(server, str) else server.address,
        "ANTHROPIC_BASE_URL": api if isinstance(api, str) else api.url,
        "STATE_DIR": str(directory / "state"),
        "CONTENT_STORE_URL": (directory / "content").as_uri(),
    }
    return clean_environment(**defaults | settings)


@contextmanager
def worker(
    directory: Path,
    server: DevServer | str,
    api: MessagesApi | str,
    *arguments: str,
    name: str = "worker",
    program: str | None = None,
    **settings: str | None,
) -> Iterator[RealProcess]:
    """Run `worker.py`, or another `program`, until it is ready; `settings` are environment variables on top of the stack's."""
    process = ForkedProcess(
        command=[program or "worker.py", *arguments],
        log=directory / f"{name}.log",
        env=stack_environment(directory, server, api, **settings),
    )
    with _ended(process):
        process.wait_until(lambda: "worker ready" in process.output, "the worker is ready")
        yield process


def starter(
    *arguments: str,
    env: Mapping[str, str],
    stdin: str = "",
    timeout: float = PATIENCE,
    interpreter: bool = False,
    program: str = "starter.py",
) -> "subprocess.CompletedProcess[str]":
    """Run `starter.py`, or another `program`, to its end, without a terminal, and return exit code and both streams.

    It is forked, unless its birth or the end of its `interpreter` are what is tested.
    """
    if interpreter:
        return subprocess.run(
            [sys.executable, str(PROJECT / program), *arguments],
            env=dict(env),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    with tempfile.TemporaryDirectory() as directory:
        said, out, complaints = (Path(directory) / name for name in ("stdin", "stdout", "stderr"))
        said.write_text(stdin)
        process = Forked(program, arguments, env=env, stdin=said, stdout=out, stderr=complaints)
        try:
            code = process.wait(timeout)
        finally:
            process.send_signal(signal.SIGKILL)  # of no use where it has ended
        return subprocess.CompletedProcess(process.args, code, out.read_text(), complaints.read_text())


@contextmanager
def running_starter(directory: Path, *arguments: str, env: Mapping[str, str], name: str) -> Iterator[RealProcess]:
    """Run `starter.py` beside the test; its output goes to `<name>.log`."""
    process = RealProcess(
        command=[sys.executable, str(PROJECT / "starter.py"), *arguments], log=directory / f"{name}.log", env=env
    )
    with _ended(process):
        yield process


@contextmanager
def _ended(process: RealProcess) -> Iterator[None]:
    try:
        process.start()
        yield
    finally:
        if process._popen is not None:
            process.stop()


def _temporal() -> str:
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    assert found, "no temporal binary: install the extra 'devstack'"
    return found
