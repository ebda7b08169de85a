"""An HTTP server on the loopback that sends what a test tells it, byte by byte, and can break off anywhere.

`outlast.testing.messages_api.double` behaves like the API; this one misbehaves like a network. One request per connection, so a
connection that is counted is a request that was sent.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from outlast.testing.messages_api.bodies import event

MODEL = "claude-test"


@dataclass(frozen=True)
class Reply:
    """What to answer: a body, or events of a stream; an `asyncio.Event` among them is waited for.

    `ending` of a stream: whole, `close` and `reset` (in the middle of a chunk, politely or not).
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    events: Sequence[str | bytes | asyncio.Event] = ()
    ending: Literal["whole", "close", "reset"] = "whole"


@dataclass
class Hit:
    """One request that came in; `left` is set when the client has hung up."""

    headers: dict[str, str]
    body: dict[str, Any]
    path: str = ""
    raw: bytes = b""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def system(self) -> str:
        """The system prompt of the call."""
        return "".join(block["text"] for block in self.body.get("system", ()))


class Wire:
    """The server: gives `replies` in turn, the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.hits: list[Hit] = []
        self.replies: list[Reply] = []
        self.hit = asyncio.Event()

    def choose(self, hit: Hit) -> Reply:
        """Choose the answer to a request."""
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        try:
            hit = await _request(reader)
            self.hits.append(hit)
            self.hit.set()
            await self._answer(self.choose(hit), hit, reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, reply: Reply, hit: Hit, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = "text/event-stream" if reply.events else "application/json"
        headers = {"request-id": f"req_{len(self.hits)}", "content-type": kind, "connection": "close", **reply.headers}
        headers |= (
            {"transfer-encoding": "chunked"} if reply.events else {"content-length": str(len(reply.body.encode()))}
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n{reply.body}".encode())
        await writer.drain()
        for piece in reply.events:
            if isinstance(piece, asyncio.Event):
                if not await _released(piece, reader):
                    hit.left.set()
                    return
            else:
                data = piece.encode() if isinstance(piece, str) else piece
                writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                await writer.drain()
        if reply.ending == "whole":
            writer.write(b"0\r\n\r\n" if reply.events else b"")
            return
        writer.write(b"ff\r\nevent: content_bl")
        await writer.drain()
        if reply.ending == "reset":
            # Lingering for no time makes the kernel send a reset instead of a polite end.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> Hit:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    raw = await reader.readexactly(int(headers["content-length"]))
    return Hit(headers, json.loads(raw), first.split(" ")[1], raw)


async def _released(gate: asyncio.Event, reader: asyncio.StreamReader) -> bool:
    """Wait until the test opens the gate (True) or the client hangs up (False)."""
    opened, gone = asyncio.create_task(gate.wait()), asyncio.create_task(reader.read())
    await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (opened, gone):
        task.cancel()
    await asyncio.gather(opened, gone, return_exceptions=True)
    return gate.is_set()


@asynccontextmanager
async def serving(kind: type[Wire] = Wire) -> AsyncIterator[Wire]:
    """Run the server for as long as the block lasts."""
    wire = kind("")
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield wire


def message_start(model: str = MODEL, **usage: int) -> str:
    """Write the first event of an answer."""
    told = {"input_tokens": 100, "output_tokens": 1, **usage}
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
    }
    return event("message_start", message={**message, "model": model, "stop_sequence": None, "usage": told})


def text_piece(text: str, index: int = 0) -> str:
    """Write a piece of the text of a block."""
    return event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})


def block(content: Mapping[str, Any], *deltas: Mapping[str, Any], index: int = 0) -> list[str]:
    """Write one whole content block."""
    pieces = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    start = event("content_block_start", index=index, content_block=content)
    return [start, *pieces, event("content_block_stop", index=index)]


def text_block(*texts: str, index: int = 0) -> list[str]:
    """Write one whole block of text."""
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    return block({"type": "text", "text": ""}, *deltas, index=index)


def ending(stop_reason: str = "end_turn", output_tokens: int = 20) -> list[str]:
    """Write the last two events of an answer."""
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": output_tokens}), event("message_stop")]


def answer(*texts: str, stop_reason: str = "end_turn", model: str = MODEL, **usage: int) -> Reply:
    """Answer with a text, streamed."""
    return Reply(events=[message_start(model, **usage), *text_block(*texts), *ending(stop_reason)])


def error(status: int, kind: str = "api_error", message: str = "told to fail", **headers: str) -> Reply:
    """Answer with an error, as the API words it; in header names, `_` stands for `-`."""
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}})
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
