"""Real channels that people are told by: a mail server, and web hooks that fail as often as told."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message


class Mailbox(Message):
    """Keeps the text of each mail."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_message(self, message) -> None:  # type: ignore[no-untyped-def]
        self.texts.append("".join(p.get_payload(decode=True).decode() for p in message.walk() if not p.is_multipart()))


class Hooks(ThreadingHTTPServer):
    """Answers 500 to the first calls of a path, as often as `failing` says, and keeps what it took."""

    def __init__(self, failing: dict[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.failing = failing
        self.asked: dict[str, int] = {}
        self.took: dict[str, list[dict[str, Any]]] = {}
        self.raw: dict[str, list[tuple[dict[str, str], bytes]]] = {}


class _Hook(BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.raw.setdefault(self.path, []).append(({k.lower(): v for k, v in self.headers.items()}, raw))
        body = json.loads(raw)
        asked = self.server.asked[self.path] = self.server.asked.get(self.path, 0) + 1
        taken = asked > self.server.failing.get(self.path, 0)
        if taken:
            self.server.took.setdefault(self.path, []).append(body)
        self.send_response(200 if taken else 500)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """Run a mail server; gives what it keeps, and the URL of the channel."""
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield box, f"mailto://127.0.0.1:{port}?from=a@example.org&to=b@example.org"
    finally:
        server.stop()


@contextmanager
def hooks(failing: dict[str, int]) -> Iterator[tuple[Hooks, str]]:
    """Run a web server; gives what it keeps, and the URL of a channel but for its path."""
    server = Hooks(failing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server, f"json://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
