"""`up`, from outside: real processes, killed and stopped in every way, and never one left behind."""

import asyncio
import io
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from outlast.client import Settings
from outlast.devstack import parts
from outlast.devstack import stack as stacking
from outlast.devstack.board import Board
from outlast.devstack.ports import ANY, RANGE, USUAL, choose_ports, is_free
from outlast.devstack.server import server_command
from outlast.devstack.state import StackState, read_state
from tests.conftest import binary
from tests.processes import (
    PROJECT,
    RealProcess,
    clean_environment,
    free_port,
    messages_api,
    running_starter,
    starter,
    wait_for,
)
from tests.real_process import alive

pytestmark = pytest.mark.xdist_group("stack")

NOBODY = "http://127.0.0.1:9"
"""A model endpoint for stacks whose model is never asked."""


def environment(directory: Path, **settings: str | None) -> dict[str, str]:
    defaults: dict[str, str | None] = {"STATE_DIR": str(directory / "state"), "ANTHROPIC_BASE_URL": NOBODY}
    return clean_environment(**defaults | settings)


def state_of(directory: Path) -> StackState:
    state = read_state(directory / "state")
    assert state is not None
    return state


@contextmanager
def up(directory: Path, *options: str, name: str = "up", **settings: str | None) -> Iterator[RealProcess]:
    """Run `up` until it says that everything is ready."""
    with running_starter(directory, "up", *options, env=environment(directory, **settings), name=name) as process:
        process.wait_until(lambda: "Everything is ready" in process.output, "everything is ready")
        yield process


def pids(directory: Path) -> dict[str, int]:
    return {name: child.pid for name, child in state_of(directory).children.items()}


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.status)


def test_it_starts_everything_once_mends_a_crash_and_ends_by_one_ctrl_c(tmp_path: Path) -> None:
    with messages_api(tmp_path, latency=0.3) as api, up(tmp_path, ANTHROPIC_BASE_URL=api.url) as process:
        state, before = state_of(tmp_path), pids(tmp_path)
        assert set(before) == {"server", "worker"}
        told = re.search(r"export TEMPORAL_ADDRESS=\S+", process.output)
        assert told is not None, process.output
        listing = ["bash", "-c", f"{told[0]}; {binary('temporal')} workflow list"]
        assert subprocess.run(listing, env=clean_environment(), timeout=30, check=False).returncode == 0
        for url in (
            state.ui,
            *(f"http://127.0.0.1:{state.ports[name]}/metrics" for name in ("worker health", "metrics")),
        ):
            assert get(url) == 200

        env = environment(tmp_path, ANTHROPIC_BASE_URL=api.url)
        second = starter("up", env=env)
        assert (second.returncode, f"process {process.pid}" in second.stdout) == (0, True), second
        assert state.ui in second.stdout

        api.reset()
        showing = starter("demo", "--no-tour", env=env)
        assert showing.returncode == 0, showing
        assert f"kill -9 {before['worker']}" in showing.stdout
        # What the model was asked, against what the demo claims: only calls cut off by the kill were asked again.
        asked = Counter((hit["user"], hit["system"]) for hit in api.hits())
        claim = re.search(r"✓ Finished model calls: (\d+), none repeated(?: \((\d+) cut off)?", showing.stdout)
        assert claim is not None, showing
        assert len(asked) == int(claim[1])
        assert sum(count > 1 for count in asked.values()) <= int(claim[2] or 0)

        report = process.output.partition("✗ worker: killed by SIGKILL")[2]
        assert "│ worker ready: task queue 'agents'" in report
        assert report.count("worker: healthy") == 1

        children = [*pids(tmp_path).values(), *before.values()]
        process.send(signal.SIGINT)
        assert process.wait() == 0, process.output
        assert not any(map(alive, children))
        assert process.output.index("worker: ended") < process.output.index("server: ended")


def listener(port: int = 0) -> socket.socket:
    taken = socket.create_server(("127.0.0.1", port))
    taken.settimeout(0.1)
    return taken


def test_the_usual_ports_are_taken_while_they_are_free_and_else_those_of_the_last_time() -> None:
    names, (server, ui, last) = ("server", "ui"), (free_port() for _ in range(3))
    usual = {"server": server, "ui": ui}
    assert USUAL == {"server": 7233, "ui": 8233}, "where the temporal command line looks"

    assert choose_ports(names, {}, {"server": last}, usual) == usual
    assert choose_ports(names, {"server": ANY}, {"server": last}, usual) == {"server": last, "ui": ui}
    with listener(server), listener(last):
        chosen = choose_ports(names, {}, {"server": last}, usual)
    assert chosen["server"] in RANGE
    assert chosen["ui"] == ui
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        assert not is_free(other.getsockname()[1]), "a client that asks for localhost would reach that one"


async def test_a_port_that_another_process_takes_meanwhile_is_chosen_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def says_ok(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    shown = io.StringIO()
    settings = Settings(state_dir=tmp_path, up_port=0, up_ui_port=0, anthropic_base_url=NOBODY, _env_file=None)
    # On a busy machine the server takes long to find out that its port is taken; meanwhile the other answers for it.
    monkeypatch.setattr(
        parts, "server_command", lambda *given: ("/bin/sh", "-c", 'sleep 1; exec "$@"', "sh", *server_command(*given))
    )
    async with await asyncio.start_server(says_ok, "127.0.0.1", 0) as other:
        taken: int = other.sockets[0].getsockname()[1]
        choices = [lambda *given: choose_ports(*given) | {"ui": taken}]  # it was free when it was looked at
        monkeypatch.setattr(
            stacking, "choose_ports", lambda *given: (choices.pop() if choices else choose_ports)(*given)
        )
        stack = stacking.Stack(settings, stacking.StackOptions(worker=False), Board(Console(file=shown, width=200)))
        try:
            assert await stack.start(), shown.getvalue()
            assert stack.state.ports["ui"] != taken
            assert await asyncio.to_thread(get, stack.state.ui) == 200
            assert f"port {taken} (ui)" in shown.getvalue()
        finally:
            await stack.stop()


async def test_ports_and_history_survive_a_restart(tmp_path: Path) -> None:
    from temporalio.client import Client

    with up(tmp_path, "--no-worker", name="first") as process:
        first = state_of(tmp_path)
        client = await Client.connect(first.address)
        await client.start_workflow("DocumentAnalysisWorkflow", id="kept", task_queue="agents")
        process.send(signal.SIGTERM)
        assert process.wait() == 0
    assert pids(tmp_path) == {}
    with up(tmp_path, "--no-worker", name="second"):
        assert state_of(tmp_path).ports == first.ports
        client = await Client.connect(first.address)
        assert [run.id async for run in client.list_workflows()] == ["kept"]
    assert (tmp_path / "state" / "logs" / "server.log.1").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    with up(tmp_path, "--no-worker") as process:
        (server,) = pids(tmp_path).values()
        process.kill()
        wait_for(lambda: not alive(server), "the server ends with its parent")
    with up(tmp_path, "--worker", f"python {PROJECT}/tests/doubles/own_worker.py", name="again"):
        log = (tmp_path / "state" / "logs" / "worker.log").read_text()
    assert "own" in log[log.index("worker ready") :], "it is the worker that was asked for"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--worker", ""], "--worker '': write the command that runs your worker, as in --worker 'python worker.py'"),
        (["--worker", "nosuchprogram"], "--worker nosuchprogram: there is no program 'nosuchprogram'"),
        (["--worker", "python nosuch.py"], "--worker python nosuch.py: no file nosuch.py in "),
        (["--worker", "python worker.py", "--no-worker"], "--worker and --no-worker contradict each other"),
    ],
)
def test_a_worker_that_cannot_be_run_is_named_before_anything_starts(
    tmp_path: Path, options: list[str], says: str
) -> None:
    done = starter("up", *options, env=environment(tmp_path))

    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "state").exists()


async def test_without_a_worker_program_none_runs_and_it_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacking, "worker_program", lambda: tmp_path / "worker.py")
    shown = io.StringIO()
    settings = Settings(state_dir=tmp_path, up_port=0, up_ui_port=0, anthropic_base_url=NOBODY, _env_file=None)
    stack = stacking.Stack(settings, stacking.StackOptions(), Board(Console(file=shown, width=500)))
    await stack.stop()

    assert [part.name for part in stack.parts] == ["server"]
    assert "so no worker runs. Write one that calls outlast.run_worker" in shown.getvalue()
    assert "--worker 'python your_worker.py'" in shown.getvalue()


def test_without_a_temporal_binary_it_names_both_ways_to_get_one(tmp_path: Path) -> None:
    # A Python with nothing beside it, and a PATH with nothing on it.
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    env = environment(tmp_path, PATH=str(tmp_path), PYTHONPATH=packages)
    process = RealProcess([str(python), str(PROJECT / "starter.py"), "up"], tmp_path / "up.log", env)
    process.start()
    assert process.wait() == 3
    assert "docs.temporal.io/cli" in process.output
    assert 'pip install "outlast[devstack]"' in process.output


def test_a_damaged_database_is_shown_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "temporal.db").write_bytes(b"no database" * 1000)
    done = starter("up", "--no-worker", env=environment(tmp_path))
    assert done.returncode == 1
    assert "file is not a database" in done.stdout
    assert f"mv {tmp_path / 'state'}" in done.stdout


def test_a_port_asked_for_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = starter("up", "--ui-port", str(port), env=environment(tmp_path))
    assert done.returncode == 2
    assert f"port {port}" in done.stderr


def test_a_worker_that_cannot_start_is_reported_and_ends_everything(tmp_path: Path) -> None:
    done = starter("up", env=environment(tmp_path, MODELS_FILE=str(tmp_path / "absent.toml")))
    assert done.returncode == 1
    assert "✗ worker: exit code 2" in done.stdout
    assert "MODELS_FILE=" in done.stdout  # a line of its log
    assert "server: ended" in done.stdout


def test_a_channel_that_is_none_ends_it_with_the_variable_and_the_mend(tmp_path: Path) -> None:
    told = "json://127.0.0.1, nope://me:hidden@host"
    ended = starter("up", env=environment(tmp_path, NOTIFY_URLS=told))
    assert ended.returncode == 1, ended
    assert "✗ worker: exit code 2" in ended.stdout
    assert "worker: NOTIFY_URLS: URL 2 (nope) is not a channel that apprise knows; write mailto://" in ended.stdout
    assert "hidden" not in ended.stdout + ended.stderr
