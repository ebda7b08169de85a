"""A double of the Messages API over real HTTP: streams (SSE) or answers whole, counts calls, fails on demand.

    python -m tests.doubles.messages_api --port P [--latency S] [--size N]

`POST /v1/messages` is the API itself. What it answers when nothing is scripted:
- `output_config.format` with a JSON schema that has `steps`: a plan of three steps, two for `researcher` and, after them,
  one for `writer`; with any other schema: the smallest object that fits it, the first value of each enum;
- otherwise the text `Answer to: <begin of the last user message>`, filled up to `size` characters.

`GET /hits` lists all calls, oldest first: {n, model, system, user, turn, started, ended, outcome}. `system` and `user` are the
first 400 characters of the system prompt and of the last user message, `started` and `ended` Unix seconds (`ended` is null
while the call runs), `outcome` one of answered, failed (status), broken (stream), abandoned (the client left), running.

`POST /script` changes what it does from now on; every field may be left out:
- `latency`: seconds before each answer; `size`: characters of each text answer;
- `outage`: the HTTP status that every call gets until it is 0 again;
- `hold`: true keeps every call waiting until it is false again, for tests that need something to be going on;
- `release`: lets calls go on that a rule holds under one of these names;
- `rules`: put in front of the rules given before. For each call the first rule counts whose `system`, `user` and `model`
  occur in the call's and whose `times` are not used up. What a rule can do (unset: as without the rule):
  `text` or `data` (sent as JSON) to answer, `size`, `latency`, `stop_reason`, `usage` {input_tokens, …};
  `status` with `error_type`, `message`, `headers`: an HTTP error; `stream_error`: an error of this type within the stream;
  `breaks`: "connection" drops the connection in the middle of the answer, "stream" ends the stream cleanly there,
  "silence" says nothing more from there on;
  `piece` characters in each event of the stream, `pace` seconds after each;
  `hold` keeps the call waiting until this name is released.

  `tool` with `input` calls a tool, `{turn}` in a text of the input being the number of answers in the conversation so far;
  with `before_turn` the rule counts for conversations of fewer answers alone.

`POST /reset` forgets hits, rules and changes. `GET /health` answers `ok`.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.doubles.message_bodies import answer_text, calling, event, events_before, whole_message
from tests.doubles.rules import Rule, Script

SHOWN = 400


class BrokenOnPurposeError(Exception):
    """Makes the web server drop the connection."""


class Double:
    """The state of one double."""

    def __init__(self, latency: float, size: int) -> None:
        self._defaults = (latency, size)
        self._free = asyncio.Event()
        self.reset()

    def reset(self) -> None:
        """Go back to how it was started."""
        self._latency, self._size = self._defaults
        self._rules: list[Rule] = []
        self._outage = 0
        self._free.set()
        self._released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.hits: list[dict[str, Any]] = []

    def change(self, script: Script) -> None:
        """Take a script over."""
        self._latency = self._latency if script.latency is None else script.latency
        self._size = self._size if script.size is None else script.size
        self._rules = [*script.rules, *self._rules]
        self._outage = self._outage if script.outage is None else script.outage
        if script.hold is not None:
            (self._free.clear if script.hold else self._free.set)()
        for name in script.release:
            self._released[name].set()

    async def messages(self, request: Request) -> Response:
        """Answer one call of the Messages API."""
        body = await request.json()
        call = {"system": _text(body.get("system", "")), "user": _last_user(body), "model": body["model"]}
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        hit = {
            "n": len(self.hits) + 1,
            **{name: value[:SHOWN] for name, value in call.items()},
            "turn": turn,
            "started": time.time(),
            "ended": None,
            "outcome": "running",
        }
        self.hits.append(hit)
        rule = next((rule for rule in self._rules if rule.fits(call | {"turn": turn})), Rule())
        if self._outage:
            rule = Rule(status=self._outage, latency=0, message="an outage")
        if rule.times is not None:
            rule.times -= 1
        headers = {"request-id": f"req_{hit['n']}", **rule.headers}
        if rule.status is not None:
            return await self._failed(rule, hit, headers)
        size = self._size if rule.size is None else rule.size
        text = json.dumps(rule.data) if rule.data is not None else rule.text
        message = whole_message(body, answer_text(body, call["user"], size) if text is None else text, hit["n"])
        message["stop_reason"] = rule.stop_reason
        message["usage"] |= rule.usage
        if rule.tool:
            message |= calling(rule.tool, rule.input, turn, hit["n"])
        if body.get("stream"):
            return StreamingResponse(self._stream(message, rule, hit), headers=headers, media_type="text/event-stream")
        await self._wait(rule)
        _end(hit, "answered")
        return JSONResponse(message, headers=headers)

    async def _failed(self, rule: Rule, hit: dict[str, Any], headers: dict[str, str]) -> Response:
        await self._wait(rule)
        _end(hit, f"failed ({rule.status})")
        error = {"type": "error", "error": {"type": rule.error_type, "message": rule.message}}
        return JSONResponse(error, status_code=rule.status or 500, headers=headers)

    async def _stream(self, message: dict[str, Any], rule: Rule, hit: dict[str, Any]) -> AsyncIterator[str]:
        said = message["content"][0]
        written, kind = (
            (said["text"], "text") if said["type"] == "text" else (json.dumps(said["input"]), "partial_json")
        )
        sent = written[: len(written) // 2] if rule.breaks else written
        pieces = [sent[start : start + rule.piece] for start in range(0, len(sent), rule.piece)]
        try:
            for before in events_before(message):
                yield before
            await self._wait(rule)
            if rule.stream_error:
                _end(hit, "broken (error)")
                yield event("error", error={"type": rule.stream_error, "message": rule.message})
                return
            for piece in pieces:
                delta = {"type": "text_delta" if kind == "text" else "input_json_delta", kind: piece}
                yield event("content_block_delta", index=0, delta=delta)
                await asyncio.sleep(rule.pace)
            if rule.breaks:
                _end(hit, f"broken ({rule.breaks})")
                await _break(rule.breaks)
                return
            yield event("content_block_stop", index=0)
            delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
            yield event("message_delta", delta=delta, usage=message["usage"])
            yield event("message_stop")
            _end(hit, "answered")
        finally:
            if hit["ended"] is None:
                _end(hit, "abandoned")

    async def _wait(self, rule: Rule) -> None:
        await self._free.wait()
        if rule.hold:
            await self._released[rule.hold].wait()
        await asyncio.sleep(self._latency if rule.latency is None else rule.latency)


async def _break(how: str) -> None:
    if how == "silence":
        await asyncio.Event().wait()
    if how == "connection":
        raise BrokenOnPurposeError


def _end(hit: dict[str, Any], outcome: str) -> None:
    hit["ended"], hit["outcome"] = time.time(), outcome


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _last_user(body: dict[str, Any]) -> str:
    said = [_text(message["content"]) for message in body["messages"] if message["role"] == "user"]
    return said[-1] if said else ""


def build_app(latency: float = 0.0, size: int = 0) -> Starlette:
    """Build the web application."""
    double = Double(latency, size)

    async def script(request: Request) -> Response:
        try:
            double.change(Script.model_validate_json(await request.body()))
        except ValidationError as error:
            return PlainTextResponse(str(error), status_code=422)
        return PlainTextResponse("ok")

    # All of these are coroutines: Starlette runs plain functions in other threads, which may not touch the double.
    async def reset(_: Request) -> Response:
        double.reset()
        return PlainTextResponse("ok")

    async def hits(_: Request) -> Response:
        return JSONResponse(double.hits)

    return Starlette(
        routes=[
            Route("/v1/messages", double.messages, methods=["POST"]),
            Route("/script", script, methods=["POST"]),
            Route("/reset", reset, methods=["POST"]),
            Route("/hits", hits),
            Route("/health", lambda _: PlainTextResponse("ok")),
        ]
    )


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="A double of the Messages API.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--size", type=int, default=0, help="characters of each text answer")
    arguments = parser.parse_args()
    app = build_app(arguments.latency, arguments.size)
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
