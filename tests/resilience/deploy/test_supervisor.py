"""The supervisor of the stack, on one small part that crashes, hangs or does not end."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from outlast.devstack import supervisor as supervising
from outlast.devstack.board import Board
from outlast.devstack.parts import Part
from outlast.devstack.supervisor import Supervisor
from tests.processes import free_port
from tests.real_process import alive

ANSWERING = """
import http.server, signal, sys, threading, os
signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        if sys.argv[2] == "crash":
            print("about to crash", flush=True); os._exit(7)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Ok).serve_forever()
"""


class Shown:
    """A supervisor of one small part, and what it showed."""

    def __init__(self, directory: Path, port: int, how: str) -> None:
        self._shown = io.StringIO()
        part = Part(
            name="part",
            command=(sys.executable, "-c", ANSWERING, str(port), how),
            environment=dict(os.environ),
            log=directory / "part.log",
            checks={"HTTP": f"http://127.0.0.1:{port}/"},
            grace=30.0,
        )
        self.supervisor = Supervisor([part], Board(Console(file=self._shown, width=200)), self._changed)
        self.pid = 0

    def _changed(self, children: object) -> None:
        assert isinstance(children, dict)
        self.pid = children["part"].pid if children else self.pid

    @property
    def text(self) -> str:
        return self._shown.getvalue()


async def test_a_part_that_keeps_crashing_ends_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "BACKOFF", (0.01, 0.02))
    shown = Shown(tmp_path, free_port(), "crash")
    await shown.supervisor.start()
    async with asyncio.timeout(30):
        await shown.supervisor.wait()
    await shown.supervisor.stop()
    assert shown.supervisor.failed
    assert shown.text.count("✗ part: exit code 7") == 5
    assert shown.text.count("│ about to crash") == 5
    assert "started again in 0.02 s" in shown.text
    assert "crashed 5 times within 60 s" in shown.text


async def test_a_part_that_hangs_is_reported_and_so_is_its_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "CHECK_EVERY", 0.05)
    monkeypatch.setattr("outlast.devstack.health.ANSWER_WITHIN", 0.2)
    shown = Shown(tmp_path, free_port(), "stay")
    try:
        assert await shown.supervisor.start()
        os.kill(shown.pid, signal.SIGSTOP)
        await becomes(lambda: "does not answer its health check" in shown.text)
        os.kill(shown.pid, signal.SIGCONT)
        await becomes(lambda: "answers its health check again" in shown.text)
    finally:
        shown.supervisor.ask_to_stop()
        shown.supervisor.ask_to_stop()
        await shown.supervisor.stop()
    assert not alive(shown.pid)


async def test_a_second_ctrl_c_kills_what_does_not_end(tmp_path: Path) -> None:
    shown = Shown(tmp_path, free_port(), "stay")
    assert await shown.supervisor.start()
    shown.supervisor.ask_to_stop()
    stopping = asyncio.create_task(shown.supervisor.stop())
    await becomes(lambda: "part: ends" in shown.text)
    assert alive(shown.pid)
    shown.supervisor.ask_to_stop()
    async with asyncio.timeout(5):
        await stopping
    assert not alive(shown.pid)


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what it waits for is a process
            await asyncio.sleep(0.02)
