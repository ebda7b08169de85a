"""The HTTP surface: Anthropic's routes and a health check, over one engine.

A full queue is reported by a status (529), so a request takes its place before its stream begins.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outlast.devstack.local_model import BANNER, errors
from outlast.devstack.local_model.answering import Answerer
from outlast.devstack.local_model.engine import Engine
from outlast.devstack.local_model.errors import ApiError, invalid
from outlast.devstack.local_model.messages import CountRequest, MessageRequest
from outlast.devstack.local_model.queueing import Gate
from outlast.devstack.local_model.streaming import EventStream, envelope, respond_whole

LARGEST_BODY = 32 * 1024 * 1024
Body = TypeVar("Body", bound=CountRequest)


def banner(engine: Engine) -> str:
    """Return what people should know about the answers of this engine."""
    if engine.built_in:
        return BANNER
    return f"Local model: {engine.name}, chosen with LOCAL_MODEL_GGUF. Set ANTHROPIC_API_KEY for answers by Claude."


class Api:
    """The handlers of one engine."""

    def __init__(self, engine: Engine, queue: int) -> None:
        self.engine = engine
        self.answerer = Answerer(engine)
        self.gate = Gate(engine.parallel, queue)

    async def create(self, request: Request) -> Response:
        """`POST /v1/messages`."""
        wanted = await _read(request, MessageRequest)
        job = await self.answerer.prepare(wanted)
        place = self.gate.enter()
        events = self.answerer.events(job)
        if not wanted.stream:
            return await respond_whole(request, events, place, wanted.model)
        start = envelope(wanted.model, len(job.prompt.tokens))
        return EventStream(events, place, start, errors.request_id_of(request))

    async def count(self, request: Request) -> Response:
        """`POST /v1/messages/count_tokens`: what `create` would read, without the gateway's words about tools."""
        prompt = await self.answerer.renderer.prompt(await _read(request, CountRequest))
        return JSONResponse({"input_tokens": len(prompt.tokens)})

    async def models(self, _: Request) -> Response:
        """`GET /v1/models`."""
        name = self.engine.name
        return JSONResponse({"data": [self._model()], "has_more": False, "first_id": name, "last_id": name})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/{id}`."""
        if request.path_params["id"] != self.engine.name:
            raise ApiError(404, f"model: {request.path_params['id']}")
        return JSONResponse(self._model())

    async def health(self, _: Request) -> Response:
        """`GET /health`: 200 if the inference loop answers."""
        about = {"model": self.engine.name, "banner": banner(self.engine), "context_window": self.engine.window}
        try:
            busy = sum(await self.engine.slots())
        except ApiError as error:
            return JSONResponse({"status": "unavailable", "reason": error.message, **about}, status_code=503)
        waiting = max(0, self.gate.inside - self.gate.places)
        slots = {"slots": self.engine.parallel, "busy_slots": busy, "waiting": waiting}
        return JSONResponse({"status": "ok", **about, **slots})

    def _model(self) -> dict[str, Any]:
        name = self.engine.name
        return {"type": "model", "id": name, "display_name": f"{name} (local)", "created_at": "2024-10-31T00:00:00Z"}


async def _read(request: Request, kind: type[Body]) -> Body:
    if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
        raise ApiError(413, f"Request exceeds the maximum size of {LARGEST_BODY} bytes")
    try:
        return kind.model_validate(json.loads(await request.body()))
    except ClientDisconnect:
        raise invalid("The client went away while it sent the request") from None
    except ValidationError as error:
        raise errors.from_validation(error) from None
    except (ValueError, RecursionError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from None


class RequestIds:
    """Middleware: every response carries a `request-id` header."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the header to what comes back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = errors.request_id_of(Request(scope))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", []) if pair[0].lower() != b"request-id"]
                message = {**message, "headers": [*headers, (b"request-id", request_id.encode())]}
            await send(message)

        await self.app(scope, receive, named)


def create_app(engine: Engine, queue: int = 32) -> Starlette:
    """Return the application over a running engine; `queue` requests may wait beside those that are worked on."""
    api = Api(engine, queue)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await engine.close()

    return Starlette(
        routes=[
            Route("/v1/messages", api.create, methods=["POST"]),
            Route("/v1/messages/count_tokens", api.count, methods=["POST"]),
            Route("/v1/models", api.models, methods=["GET"]),
            Route("/v1/models/{id}", api.model, methods=["GET"]),
            Route("/health", api.health, methods=["GET"]),
        ],
        middleware=[Middleware(RequestIds)],
        exception_handlers={
            ApiError: errors.on_api_error,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_any_exception,
        },
        lifespan=lifespan,
    )
