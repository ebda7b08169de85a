"""One session with one MCP server: opened, used and closed, all by one task of its own.

The SDK's transports are task groups, which must be left by the task that entered them. When a transport breaks, a request can
wait forever for an answer that never comes, so every request also watches the task that owns the session.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from outlast.errors import text_of
from outlast.processes.environment import bare_environment
from outlast.processes.leash import kept
from outlast.redaction import presentable
from outlast.tools.mcp.config import HttpServer, StdioServer
from outlast.tools.mcp.results import checking_session

if TYPE_CHECKING:  # half a second to import, and workflows import the activities for their signatures
    from mcp import ClientSession

OPEN_SECONDS = 45.0
"""Longest time until a server has introduced itself; `npx` and `uvx` may have to fetch it first."""
PING_SECONDS = 2.0
"""How often a server over HTTP is asked whether it is still there, while it works on a request."""
CLOSE_SECONDS = 10.0
STDERR_BYTES = 2000

Result = TypeVar("Result")


class ServerGoneError(ConnectionError):
    """The server cannot be started or reached, or went away in the middle; the next request opens a new session."""


class ServerSlowError(ServerGoneError):
    """The server did not say what it is in time; asking again at once would take as long."""


class McpSession:
    """A running session; `opened` gives it, `aclose` ends it, and `gone` says that it ended by itself."""

    def __init__(self, name: str, server: StdioServer | HttpServer) -> None:
        self._name = name
        self._server = server
        self._stop = asyncio.Event()
        self._stderr = bytearray()
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        # A context of its own: the session outlives the activity that happened to need it first.
        self._owner = asyncio.create_task(self._own(), context=Context())
        self._owner.add_done_callback(lambda owner: owner.cancelled() or owner.exception())

    @property
    def gone(self) -> bool:
        """Whether the session has ended or is about to."""
        return self._owner.done() or self._stop.is_set()

    async def opened(self) -> "ClientSession":
        """Wait until the session can be used; raises ServerGoneError with the last words of the server."""
        waiting = (self._ready, self._owner)
        done, _ = await asyncio.wait(waiting, timeout=OPEN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self._stop.set()
            self._owner.cancel()
            raise ServerSlowError(str(self._broken(f"it was not ready after {OPEN_SECONDS:g} s")))
        if self._ready.done() and not self.gone:
            return self._ready.result()
        raise self._broken()

    async def ask(self, request: Callable[["ClientSession"], Awaitable[Result]]) -> Result:
        """Make a request and wait for its answer; raises ServerGoneError when the session ends first."""
        session = await self.opened()
        answer, watch = asyncio.ensure_future(request(session)), asyncio.ensure_future(self._watch(session))
        try:
            await asyncio.wait((answer, watch, self._owner), return_when=asyncio.FIRST_COMPLETED)
            if answer.done() and not _went_away(answer.exception()):
                return answer.result()
            self._stop.set()
            raise self._broken()
        finally:
            answer.cancel()
            watch.cancel()
            await asyncio.gather(answer, watch, return_exceptions=True)

    async def aclose(self) -> None:
        """End the session and, if it is ours, its process; never raises for what goes wrong meanwhile."""
        self._stop.set()
        _, late = await asyncio.wait({self._owner}, timeout=CLOSE_SECONDS)
        if late:
            self._owner.cancel()
            await asyncio.wait({self._owner})

    async def _own(self) -> None:
        async with AsyncExitStack() as stack:
            read, write = await stack.enter_async_context(self._transport())
            session = await stack.enter_async_context(checking_session()(read, write))
            await session.initialize()
            self._ready.set_result(session)
            await self._stop.wait()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[tuple[Any, Any]]:
        if isinstance(self._server, HttpServer) and self._server.type == "sse":
            from mcp.client.sse import sse_client

            async with sse_client(self._server.url, headers=dict(self._server.headers), timeout=30.0) as (read, write):
                yield read, write
            return
        if isinstance(self._server, HttpServer):
            import httpx
            from mcp.client.streamable_http import streamable_http_client

            patience = httpx.Timeout(30.0, read=300.0)
            async with (
                httpx.AsyncClient(headers=self._server.headers, timeout=patience) as client,
                streamable_http_client(self._server.url, http_client=client) as (read, write, _),
            ):
                yield read, write
            return
        from mcp.client.stdio import StdioServerParameters, stdio_client

        # It must not outlive a worker that was killed: some servers do not notice the end of their input, and some start others.
        command, *arguments = kept([self._server.command, *self._server.args])
        parameters = StdioServerParameters(
            command=command,
            args=arguments,
            env=bare_environment(os.environ) | self._server.env,
            cwd=self._server.cwd,
        )
        with self._listening() as errors:
            async with stdio_client(parameters, errlog=errors) as (read, write):
                errors.close()  # the server has its own copy now; with ours open, the pipe would never end
                yield read, write

    @contextmanager
    def _listening(self) -> Iterator[TextIO]:
        """Give the server something to write its complaints to, and remember the last of them."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()

        def read_stderr() -> None:
            read = os.read(reading, 65536)
            self._stderr = (self._stderr + read)[-STDERR_BYTES:]
            if not read:
                loop.remove_reader(reading)

        loop.add_reader(reading, read_stderr)
        try:
            with os.fdopen(writing, "w") as errors:
                yield errors
        finally:
            loop.remove_reader(reading)
            os.close(reading)

    async def _watch(self, session: "ClientSession") -> None:
        """Return when a server over HTTP is gone: the SDK forgets a request whose answering stream broke off."""
        from anyio import BrokenResourceError, ClosedResourceError
        from mcp.shared.exceptions import McpError

        while isinstance(self._server, HttpServer):
            await asyncio.sleep(PING_SECONDS)
            try:
                await session.send_ping()
            except McpError as error:
                if _went_away(error):
                    return
                break  # it does not know pings, but it answers
            except (BrokenResourceError, ClosedResourceError):
                return
        await asyncio.Event().wait()

    def _broken(self, reason: str = "it went away") -> ServerGoneError:
        if self._owner.done() and not self._owner.cancelled() and (error := self._owner.exception()):
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            reason = _reason(error)
        stderr = presentable(" ".join(bytes(self._stderr).decode(errors="replace").split()))[-300:]
        return ServerGoneError(
            f"the MCP server {self._name} does not answer: {reason}" + (f" ({stderr})" if stderr else "")
        )


def _reason(error: BaseException) -> str:
    """Return why a session broke, without the address that was asked: it may hold a secret."""
    import httpx

    if not isinstance(error, httpx.HTTPStatusError):
        return f"{type(error).__name__}: {text_of(error)}"
    status = error.response.status_code
    unknown = status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    return f"it answers {status}" + ("; give it a header such as Authorization in the file of MCP servers" * unknown)


def _went_away(error: BaseException | None) -> bool:
    """Whether an error was made up by the SDK, because the connection or the server's session ended."""
    from anyio import BrokenResourceError, ClosedResourceError
    from mcp.shared.exceptions import McpError

    if isinstance(error, McpError):
        return error.error.message in ("Connection closed", "Session terminated")
    return isinstance(error, BrokenResourceError | ClosedResourceError)
