"""A Messages API that gives recorded answers: `python -m cli.demo.recorded_api --port PORT`.

It asks no model. A call without a recorded answer is refused, so that no answer is ever made up. It serves the sample feeds, too,
so that research needs no network.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import BaseModel, ConfigDict, TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
ANSWERS = SAMPLES / "showcase" / "answers.json"
MODEL = "recorded"
"""What every alias of a model means in the showcase: a name without prices."""

CHARACTERS_PER_TOKEN = 4
PIECE, PACE = 24, 0.02
"""Characters in each event of a stream, and seconds after each: about as fast as a small hosted model."""


class Recorded(BaseModel):
    """One answer, and the call it answers. The answer is `text`, `data` or a call of `tool`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    """A part of the call's system prompt."""
    user: str = ""
    """A part of its first message."""
    turn: int = 0
    """How many answers came before in the same conversation."""
    seconds: float = 0.6
    """How long the answer takes to begin."""
    text: str = ""
    data: Any = None
    """An answer that is sent as JSON."""
    tool: str = ""
    input: dict[str, Any] = {}

    def fits(self, body: dict[str, Any]) -> bool:
        """Whether it is the answer to this request."""
        messages = body["messages"]
        asked = [_text(message["content"]) for message in messages if message["role"] == "user"]
        turns = len(messages) - len(asked)
        return self.system in _text(body.get("system", "")) and self.user in asked[0] and self.turn == turns


@cache
def answers() -> Sequence[Recorded]:
    """Read the recorded answers; the first that fits a call is its answer."""
    return TypeAdapter(tuple[Recorded, ...]).validate_json(ANSWERS.read_bytes())


async def _messages(request: Request) -> Response:
    """`POST /v1/messages`."""
    body = await request.json()
    found = next((each for each in answers() if each.fits(body)), None)
    if found is None:
        about = " ".join(_text(body["messages"][0]["content"]).split())[-300:]
        error = {"type": "invalid_request_error", "message": f"no answer is recorded for this call: …{about}"}
        return JSONResponse({"type": "error", "error": error}, status_code=400)
    text = found.text if found.data is None else json.dumps(found.data, ensure_ascii=False, indent=1)
    block: dict[str, Any] = {"type": "text", "text": text}
    if found.tool:
        block = {"type": "tool_use", "id": f"toolu_{answers().index(found)}", "name": found.tool, "input": found.input}
    message = {
        "id": f"msg_recorded_{answers().index(found)}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [block],
        "stop_reason": "tool_use" if found.tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(json.dumps(body, ensure_ascii=False)) // CHARACTERS_PER_TOKEN,
            "output_tokens": len(json.dumps(block, ensure_ascii=False)) // CHARACTERS_PER_TOKEN,
        },
    }
    if body.get("stream"):
        return StreamingResponse(_stream(message, block, found.seconds), media_type="text/event-stream")
    await asyncio.sleep(found.seconds)
    return JSONResponse(message)


async def _stream(message: dict[str, Any], block: dict[str, Any], seconds: float) -> AsyncIterator[str]:
    """Send the answer as the API streams one."""
    is_text = block["type"] == "text"
    written = block["text"] if is_text else json.dumps(block["input"], ensure_ascii=False)
    yield _event("message_start", message=message | {"content": [], "stop_reason": None})
    await asyncio.sleep(seconds)
    yield _event(
        "content_block_start", index=0, content_block={**block, **({"text": ""} if is_text else {"input": {}})}
    )
    for start in range(0, len(written), PIECE):
        piece = written[start : start + PIECE]
        delta = (
            {"type": "text_delta", "text": piece} if is_text else {"type": "input_json_delta", "partial_json": piece}
        )
        yield _event("content_block_delta", index=0, delta=delta)
        await asyncio.sleep(PACE)
    yield _event("content_block_stop", index=0)
    stopped = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=stopped, usage=message["usage"])
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def build_app() -> Starlette:
    """Build the web application."""
    return Starlette(
        routes=[
            Route("/v1/messages", _messages, methods=["POST"]),
            Route("/health", lambda _: PlainTextResponse("ok")),
            Mount("/feeds", StaticFiles(directory=SAMPLES / "feeds")),
        ]
    )


def main() -> None:
    """Serve until a signal stops it."""
    parser = argparse.ArgumentParser(prog="recorded_api", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    answers()  # a file that cannot be read ends the process now
    port = parser.parse_args().port
    uvicorn.run(build_app(), host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
