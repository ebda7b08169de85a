"""What one client may take of a small web server: connections, headers, bodies, and time for each.

uvicorn waits forever for the rest of a request's head, and for a body that comes a byte a minute. So the head has a time
of its own here, and the app is called only when the whole body is there, within its size and its time.
"""

import asyncio
from contextlib import suppress
from typing import Any

import h11
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
BODY_SECONDS = 20.0
DRAIN_SECONDS, DRAINED = 1.0, 8
"""How long, and how many times the largest body, is read of one that is too large, before it is answered."""
MOST_CONNECTIONS = 64
CLOSE = {"connection": "close"}


class WholeBody:
    """Hands requests on once their body is there; answers 413 to a larger one, and 408 to one that takes too long."""

    def __init__(self, app: ASGIApp, largest: int, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._largest = largest
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._body(scope, receive)
        except TimeoutError:
            await JSONResponse({"error": "the body did not come in time"}, 408, CLOSE)(scope, receive, send)
            return
        if body is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drain(receive)
            text = f"the body has more than {self._largest // 1024} kB; send less"
            await JSONResponse({"error": text}, 413, CLOSE)(scope, receive, send)
            return
        given = False

        async def whole() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, whole, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Read the body; None if it is too large, whether its length was declared or not."""
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(declared) > self._largest:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._largest:
                return None
            if not message.get("more_body"):  # also for a client that has gone: its answer reaches nobody
                return bytes(body)

    async def _drain(self, receive: Receive) -> None:
        """Throw away what a client still sends: it reads no answer before it is done, and loses one that ends the connection."""
        left = DRAINED * self._largest
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if not message.get("more_body"):
                return


class BoundedProtocol(H11Protocol):
    """Ends connections over the limit, and those whose request's head does not come in time."""

    most, seconds = MOST_CONNECTIONS, HEAD_SECONDS
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        super().data_received(data)
        answered = self.cycle is None or self.cycle.response_complete
        if not (answered and self.conn.their_state is h11.IDLE):
            self._stop_waiting()
        elif self._patience is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._patience = self.loop.call_later(self.seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def limited(app: ASGIApp, largest: int, connections: int = MOST_CONNECTIONS) -> dict[str, Any]:
    """Return what uvicorn's configuration needs to serve an app within the limits; `largest` is that of a body, in bytes."""

    class Protocol(BoundedProtocol):
        most = connections

    return {
        "app": WholeBody(app, largest),
        "http": Protocol,
        "ws": "none",
        "h11_max_incomplete_event_size": HEAD_BYTES,
        "limit_concurrency": connections + 1,
        "timeout_keep_alive": 5,
    }
