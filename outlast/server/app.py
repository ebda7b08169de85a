"""The server as an ASGI app: the HTTP API, with the web pages or without.

async with serving(workflows=[Triage]) as agents:      # in the lifespan of an app of your own
    app.mount("/agents", agents)
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from outlast.cli.kinds import kind_of, register_kind
from outlast.cli.reaching import Reach
from outlast.cli.web.limits import WholeBody
from outlast.cli.web.serving import LOOPBACK
from outlast.client import Settings, connect, load_settings
from outlast.server.access import Caller, Rates, Scope, Tokens
from outlast.server.events.feed import Feeds
from outlast.server.guard import Guard
from outlast.server.openapi import document
from outlast.server.operations import HttpError, Operation, answered, http_error, read_call
from outlast.server.pages.app import Pages
from outlast.server.pages.sessions import COOKIE, Sessions
from outlast.server.routes import operations
from outlast.server.slack.receiving import SlackActions
from outlast.server.starting import startable
from outlast.server.triggers.receiving import Triggers

LARGEST = 2 * 1024 * 1024
"""Most bytes of a body."""

_log = logging.getLogger(__name__)


class Server:
    """One server on one connection.

    Args:
        reach: The connection.
        names: Host names by which it is reached; others are refused.
        is_local: Whether only this machine reaches it, so that it may be used without a token where there are none.
        pages: Whether it serves the web pages, too.
    """

    def __init__(
        self, reach: Reach, names: Sequence[str] = LOOPBACK, *, is_local: bool = False, pages: bool = True
    ) -> None:
        settings = reach.settings
        secret = settings.approver_secret
        self._reach = reach
        self._names = names
        self._tokens = Tokens(settings.serve_tokens)
        self._rates = Rates(settings.serve_rate)
        self._is_open = is_local and not self._tokens
        self._feeds = Feeds(reach)
        self._sessions = Sessions(
            secret.get_secret_value() if secret else "", lambda: datetime.now(UTC), self._tokens, starts=self._is_open
        )
        self.operations = operations(self._feeds, Triggers(settings), SlackActions(settings))
        self._pages = Pages(reach, self._sessions, self._feeds) if pages else None

    def app(self) -> ASGIApp:
        """Build the app."""
        described = document(self.operations)

        async def openapi(_: Request) -> Response:
            return JSONResponse(described)

        async def healthy(_: Request) -> Response:
            return PlainTextResponse("ok\n")

        routes: list[BaseRoute] = [Route("/openapi.json", openapi), Route("/healthz", healthy)]
        routes += [Route(one.path, self._endpoint(one), methods=[one.method]) for one in self.operations]
        routes.append(Route("/workflows/{name}", self._no_workflow, methods=["POST"]))
        routes += self._pages.routes() if self._pages else []
        app: ASGIApp = Starlette(routes=routes, exception_handlers={HTTPException: _no_route})
        origins = [origin.rstrip("/") for origin in self._reach.settings.serve_origins]
        if origins:
            app = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=["GET", "POST", "PUT"],
                allow_headers=["authorization", "content-type", "idempotency-key", "last-event-id", "approver-token"],
            )
        return Guard(app, self._names, origins)

    async def aclose(self) -> None:
        """Stop following runs."""
        await self._feeds.aclose()

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                signer = await operation.signed_by(request) if operation.signed_by else None
                caller = self._allowed(operation, request, signer)
                params = {name: unquote(value) for name, value in request.path_params.items()}
                call = await read_call(operation, self._reach, caller, request, params)
                return answered(await operation.call(call))
            except Exception as error:
                refusal = http_error(error)
                if refusal is None:
                    _log.exception("%s failed", operation.name)
                    refusal = HttpError(500, "unexpected, please report this; the log of the server has it")
                return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)

        return endpoint

    async def _no_workflow(self, request: Request) -> Response:
        """Say which workflows there are, to callers who may know."""
        try:
            self._caller(request)
        except HttpError as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
        there = ", ".join(kind.command for kind in startable()) or "none"
        name = request.path_params["name"]
        return JSONResponse({"error": f"there is no workflow {name!r} that can be started; there are {there}"}, 404)

    def _allowed(self, operation: Operation, request: Request, signer: Caller | None) -> Caller:
        """Return who calls; raises HttpError where they may not."""
        caller = signer or self._caller(request)
        if wait := self._rates.take(caller.name):
            raise HttpError(429, f"more than SERVE_RATE={self._reach.settings.serve_rate} requests in a minute", {
                "Retry-After": str(int(wait) + 1)
            })  # fmt: skip
        if operation.scope is not None and operation.scope not in caller.scopes:
            raise HttpError(403, f"this token lacks the scope {operation.scope}, which {operation.name} needs")
        return caller

    def _caller(self, request: Request) -> Caller:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if token:
            caller = self._tokens.caller(token) if kind.lower() == "bearer" else None
            if caller is None:
                raise HttpError(401, "Authorization: this token is not known here", {"WWW-Authenticate": "Bearer"})
            return caller
        session = self._sessions.find(request.cookies.get(COOKIE, ""))
        if session is not None and request.method == "GET":  # what changes something comes by a form, with its secret
            return Caller(session.who, session.scopes & {Scope.READ}, session.grant)
        if self._is_open:
            return Caller()
        raise HttpError(
            401, "Authorization: send 'Bearer TOKEN'; serve-token makes one", {"WWW-Authenticate": "Bearer"}
        )


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


@asynccontextmanager
async def serving(
    *,
    workflows: Sequence[type] = (),
    names: Sequence[str] = LOOPBACK,
    settings: Settings | None = None,
    task_queue: str = "",
) -> AsyncIterator[ASGIApp]:
    """Give the HTTP API as an ASGI app while the block runs, to mount in an app of your own; SERVE_TOKENS says who may use it.

    Args:
        workflows: Workflow classes that can be started; those that `register_kind` knows can be, too.
        names: Host names by which your app is reached; others are refused.
        settings: Settings of one's own. Default: the environment and `.env`.
        task_queue: The task queue of these workflows. Default: TASK_QUEUE.

    Example:
        ```python
        async with serving(workflows=[Triage], names=["api.example.org"]) as agents:
            app.mount("/agents", agents)
        ```
    """
    settings = settings or load_settings()
    for workflow in workflows:
        register_kind(kind_of(workflow, task_queue))
    server = Server(Reach(settings, await connect(settings)), names, pages=False)
    try:
        yield WholeBody(server.app(), LARGEST)
    finally:
        await server.aclose()
