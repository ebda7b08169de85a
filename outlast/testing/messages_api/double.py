"""A double of the Messages API over real HTTP: streams (SSE) or answers whole, counts calls, fails on demand.

    python -m outlast.testing.messages_api.double --port P [--latency S] [--size N]

`POST /v1/messages` is the API itself. What it answers when nothing is scripted:
- `output_config.format` with a JSON schema that has `steps`: a plan of three steps, two for `researcher` and, after them,
  one for `writer`; with any other schema: the smallest object that fits it, the first value of each enum;
- otherwise the text `Answer to: <begin of the last user message>`, filled up to `size` characters.

`GET /hits` lists all calls, oldest first: {n, model, system, user, turn, started, ended, outcome, run, digest, worker}.
`system` and `user` are the first 400 characters of the system prompt and of the last user message, `started` and `ended` Unix
seconds (`ended` is null while the call runs), `outcome` one of answered, failed (status), broken (stream), abandoned (the
client left), running.
`run` is the first word of the form `job-123456` in the call, and `digest` tells calls apart by all they hold but that word.
`worker` is that parameter of the URL, by which workers can be told apart.

`POST /script` changes what it does from now on; every field may be left out:
- `latency`: seconds before each answer; `size`: characters of each text answer;
- `outage`: the HTTP status that every call gets until it is 0 again, or how it is answered instead, until it is 0: "cut" and
  "ended" (the stream stops in the middle), "silence" (it says no more), "hang" (not a byte comes), "garbage", "web page", and
  what is whole: "json" (no stream), "wrong type" (of the content), "crawl" (a few characters at a time);
- `hold`: true keeps every call waiting until it is false again, for tests that need something to be going on;
- `release`: lets calls go on that a rule holds under one of these names;
- `rules`: put in front of the rules given before. For each call the first rule counts whose `system`, `user` and `model`
  occur in the call's and whose `times` are not used up. What a rule can do (unset: as without the rule):
  `text` or `data` (sent as JSON) to answer, `size`, `latency`, `stop_reason`, `usage` {input_tokens, …};
  `status` with `error_type`, `message`, `headers`: an HTTP error; `stream_error`: an error of this type within the stream;
  `breaks`: "connection" drops the connection in the middle of the answer, "stream" ends the stream cleanly there,
  "silence" says nothing more from there on;
  `piece` characters in each event of the stream, `pace` seconds after each;
  `hold` keeps the call waiting until this name is released, `keeps` a stream open behind its last piece.

  `tool` with `input` calls a tool, `{turn}` in a text of the input being the number of answers in the conversation so far, and
  `{run}` the call's run; with `before_turn` the rule counts for conversations of fewer answers alone.

`POST /reset` forgets hits, rules and changes. `GET /health` answers `ok`.
"""

import argparse
import asyncio
import hashlib
import json
import re
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

from outlast.testing.messages_api.bodies import answer_text, calling, event, events_before, whole_message
from outlast.testing.messages_api.rules import Rule, Script

SHOWN = 400
RUN = re.compile(r"\bjob-\d{6}\b")
"""How a call shows which run it belongs to."""
BROKEN = {"cut": "connection", "ended": "stream", "silence": "silence"}
NOT_AN_ANSWER = {
    "garbage": ("text/event-stream", "\x01\x02 }{ not an event \x03\n" * 20),
    "web page": ("text/html", "<!DOCTYPE html><html><body><h1>We will be right back</h1></body></html>"),
}
CRAWL = {"piece": 3, "pace": 0.02}


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
        self._outage: int | str = 0
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
        hit = self._noted(body, call, turn)
        hit["worker"] = request.query_params.get("worker", "")
        rule = next((rule for rule in self._rules if rule.fits(call | {"turn": turn})), Rule())
        if isinstance(self._outage, int) and self._outage:
            rule = Rule(status=self._outage, latency=0, message="an outage")
        if rule.times is not None:
            rule.times -= 1
        headers = {"request-id": f"req_{hit['n']}", **rule.headers}
        if rule.status is not None:
            return await self._failed(rule, hit, headers)
        if self._outage == "hang" and not await self._resumed(request):
            _end(hit, "broken (hang)")
            raise BrokenOnPurposeError
        if self._outage in NOT_AN_ANSWER:
            kind, written = NOT_AN_ANSWER[str(self._outage)]
            _end(hit, f"broken ({self._outage})")
            return Response(written, media_type=kind)
        return await self._answered(body, call, turn, rule, hit, headers)

    async def _answered(
        self,
        body: dict[str, Any],
        call: dict[str, str],
        turn: int,
        rule: Rule,
        hit: dict[str, Any],
        headers: dict[str, str],
    ) -> Response:
        size = self._size if rule.size is None else rule.size
        text = json.dumps(rule.data) if rule.data is not None else rule.text
        answer = answer_text(body, call["user"], size, hit["run"]) if text is None else text
        message = whole_message(body, answer, hit["n"])
        message["stop_reason"] = rule.stop_reason
        message["usage"] |= rule.usage
        if rule.tool:
            message |= calling(rule.tool, rule.input, turn, hit["run"], hit["digest"])
        if isinstance(self._outage, str):
            rule = rule.model_copy(
                update=CRAWL if self._outage == "crawl" else {"breaks": BROKEN.get(self._outage, rule.breaks)}
            )
        if body.get("stream") and self._outage != "json":
            kind = "text/html" if self._outage == "wrong type" else "text/event-stream"
            return StreamingResponse(self._stream(message, rule, hit), headers=headers, media_type=kind)
        await self._wait(rule)
        _end(hit, "answered")
        return JSONResponse(message, headers=headers)

    def _noted(self, body: dict[str, Any], call: dict[str, str], turn: int) -> dict[str, Any]:
        """Put a call on the list."""
        written = json.dumps(body, sort_keys=True)
        found = RUN.search(written)
        run = found[0] if found else ""
        hit = {
            "n": len(self.hits) + 1,
            **{name: value[:SHOWN] for name, value in call.items()},
            "turn": turn,
            "started": time.time(),
            "ended": None,
            "outcome": "running",
            "run": run,
            "digest": hashlib.sha256(written.replace(run, "").encode() if run else written.encode()).hexdigest()[:16],
        }
        self.hits.append(hit)
        return hit

    async def _resumed(self, request: Request) -> bool:
        """Say nothing for as long as that is told; returns whether the client has waited."""
        while self._outage == "hang":
            if await request.is_disconnected():
                return False
            await asyncio.sleep(0.1)
        return True

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
            if rule.keeps:
                await self._released[rule.keeps].wait()
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


def application(double: Double) -> Starlette:
    """Build the web application of a double."""

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
    app = application(Double(arguments.latency, arguments.size))
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        # As long as the API's own servers: a connection closed just as a client sends its next call on it breaks that call off.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
