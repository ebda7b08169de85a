"""`python -m outlast.devstack.local_model --port N`: load the weights, serve, and end cleanly on SIGTERM or Ctrl-C.

The C++ server runs in threads of this process and sets signal handlers of its own, and its destructor waits
for the step it is in. So our handlers are set after it has started, and the process ends without destructors.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import uvicorn

from outlast.devstack.local_model.app import banner, create_app
from outlast.devstack.local_model.engine import Engine, NotInstalledError, Sampling, find_weights, start

NUMBERS = (
    ("context", "8192", "tokens per request"),
    ("parallel", "2", "requests worked on at a time"),
    ("queue", "32", "requests that may wait"),
    ("threads", str(min(os.cpu_count() or 1, 8)), "CPU threads"),
)


class Server(uvicorn.Server):
    """uvicorn that stops on a signal without raising it again, and says when it is ready."""

    ready = ""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end the serving."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the one line that tells callers where."""
        await super().startup(sockets)
        _say(sys.stdout, self.ready)


def _say(stream: object, line: str) -> None:
    assert hasattr(stream, "write")
    assert hasattr(stream, "flush")
    stream.write(line + "\n")
    stream.flush()


def _leave(code: int, reason: str = "") -> NoReturn:
    if reason:
        _say(sys.stderr, reason)
    sys.stdout.flush()
    os._exit(code)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="outlast.devstack.local_model", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one; the ready line names it")
    parser.add_argument("--gguf", default=os.environ.get("LOCAL_MODEL_GGUF"), help="weights (LOCAL_MODEL_GGUF)")
    for name, default, what in NUMBERS:
        env = f"LOCAL_MODEL_{name.upper()}"
        value = os.environ.get(env) or default  # a text: argparse then checks it like a flag
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{what} ({env})")
    return parser.parse_args(argv)


async def _speak_once(engine: Engine) -> None:
    """Generate one token: a model that loads but cannot compute is found before the server reports ready."""
    prompt = await engine.tokens("Hello", start=True)
    async for _ in engine.generate(prompt, 1, Sampling()):
        pass


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until a signal comes; exit code 0 then, 1 if it cannot start."""
    chosen = _arguments(argv)
    try:
        listener = socket.create_server((chosen.host, chosen.port), backlog=128)
    except OSError as error:
        _leave(1, f"local_model: cannot listen on {chosen.host}:{chosen.port}: {error.strerror or error}")
    try:
        engine = start(
            find_weights(chosen.gguf), context=chosen.context, parallel=chosen.parallel, threads=chosen.threads
        )
    except NotInstalledError as error:
        _leave(1, str(error))
    for number in (signal.SIGINT, signal.SIGTERM):  # those of the C++ server would stop it and leave us running
        signal.signal(number, lambda *_: _leave(0))
    asyncio.run(_serve(engine, listener, chosen.queue))
    _leave(0)


async def _serve(engine: Engine, listener: socket.socket, queue: int) -> None:
    await _speak_once(engine)
    config = uvicorn.Config(
        create_app(engine, queue), log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = Server(config)
    host, port = listener.getsockname()[:2]
    server.ready = f"local_model: ready on http://{host}:{port}. {banner(engine)}"
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    main()
