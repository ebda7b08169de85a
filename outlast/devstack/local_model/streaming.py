"""An answer as Anthropic's server-sent events, or gathered into one message; either ends when the client goes away.

While a prompt is read nothing is sent, so a server that only notices a lost client when it sends would go
on computing. The connection is therefore watched beside the work, and `ping` events keep it alive.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from outlast.devstack.local_model.answering import Delta, Event, Finished, Opened
from outlast.devstack.local_model.errors import ApiError
from outlast.devstack.local_model.messages import Usage
from outlast.devstack.local_model.queueing import Place

PING_AFTER = 2.0  # seconds without an event


def envelope(model: str, prompt_tokens: int = 0) -> dict[str, Any]:
    """Return a message without content, as a stream starts with it."""
    return {
        "id": f"msg_local_{secrets.token_hex(10)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": Usage(input_tokens=prompt_tokens).model_dump(),
    }


def block(tool: str) -> dict[str, Any]:
    """Return an empty content block: a call of `tool`, or text."""
    if tool:
        return {"type": "tool_use", "id": f"toolu_local_{secrets.token_hex(10)}", "name": tool, "input": {}}
    return {"type": "text", "text": ""}


async def gathered(events: AsyncGenerator[Event, None], model: str) -> dict[str, Any]:
    """Return the whole message."""
    message, text = envelope(model), ""
    async with aclosing(events):
        async for event in events:
            match event:
                case Opened(tool):
                    message["content"] = [block(tool)]
                case Delta(more):
                    text += more
                case Finished(reason, stop, usage):
                    message |= {"stop_reason": reason, "stop_sequence": stop, "usage": usage.model_dump()}
    only = message["content"][0]
    only |= {"input": json.loads(text)} if only["type"] == "tool_use" else {"text": text}
    return message


def frame(kind: str, **data: Any) -> bytes:
    """Return one server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data}, ensure_ascii=False)}\n\n".encode()


def frames_of(event: Event, kind: str) -> list[bytes]:
    """Return the server-sent events for one event of the answer, whose block has the type `kind`."""
    match event:
        case Opened(tool):
            return [frame("content_block_start", index=0, content_block=block(tool))]
        case Delta(text):
            part = (
                {"type": "input_json_delta", "partial_json": text}
                if kind == "tool_use"
                else {"type": "text_delta", "text": text}
            )
            return [frame("content_block_delta", index=0, delta=part)]
        case Finished(reason, stop, usage):
            delta = {"stop_reason": reason, "stop_sequence": stop}
            return [
                frame("content_block_stop", index=0),
                frame("message_delta", delta=delta, usage=usage.model_dump()),
                frame("message_stop"),
            ]


async def with_pings(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event | None, None]:
    """Yield the events, and None whenever none has come for a while."""
    step: asyncio.Task[Event] | None = None
    try:
        while True:
            step = asyncio.ensure_future(_next(events))
            while not (await asyncio.wait({step}, timeout=PING_AFTER))[0]:
                yield None
            try:
                yield step.result()
            except StopAsyncIteration:
                return
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        await events.aclose()


async def _next(events: AsyncGenerator[Event, None]) -> Event:
    return await anext(events)


class EventStream(Response):
    """A streamed answer; a failure after its start becomes an `error` event."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Event, None],
        place: Place,
        start: dict[str, Any],
        request_id: str,
    ) -> None:
        super().__init__(headers={"request-id": request_id, "cache-control": "no-cache"})
        del self.headers["content-length"]
        self.events = events
        self.place = place
        self.start = start
        self.request_id = request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (ASGI's signature)
        """Send the stream until it ends or the client goes away."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await until_gone(receive, self._send(send))
        finally:
            self.place.leave()

    async def _send(self, send: Send) -> None:
        async def put(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        kind = "text"
        await put(frame("message_start", message=self.start) + frame("ping"))
        try:
            async with aclosing(with_pings(_in_turn(self.place, self.events))) as events:
                async for event in events:
                    if isinstance(event, Opened) and event.tool:
                        kind = "tool_use"
                    await put(b"".join(frames_of(event, kind)) if event else frame("ping"))
        except ApiError as error:
            body = error.body(self.request_id)
            await put(frame("error", error=body["error"], request_id=self.request_id))
        await put(b"", more=False)


async def _in_turn(place: Place, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    await place.turn()
    async with aclosing(events):
        async for event in events:
            yield event


async def until_gone(receive: Receive, work: Coroutine[Any, Any, Any]) -> Any:
    """Do the work and return its result, or cancel it and return None when the client disconnects first."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait({working, watching})
    return None if working.cancelled() else working.result()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond_whole(request: Request, events: AsyncGenerator[Event, None], place: Place, model: str) -> Response:
    """Return the whole message as the response, or an empty one if the client is gone."""
    try:
        message = await until_gone(request.receive, gathered(_in_turn(place, events), model))
    finally:
        place.leave()
    return JSONResponse(message) if message else Response(status_code=499)
