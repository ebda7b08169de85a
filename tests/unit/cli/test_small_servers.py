"""What one client may take of the codec server and the inbox, on real sockets of the loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from outlast.cli.web.codec_server import app_of
from outlast.cli.web.limits import HEAD_BYTES, BoundedProtocol, WholeBody, limited
from outlast.cli.web.serving import listen
from outlast.storage.payload_codec import EncryptionCodec, new_key, read_keys

LARGEST = 1000
HEAD = "POST /decode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


class Quick(BoundedProtocol):
    """The same with little patience."""

    most, seconds = 3, 0.3


@asynccontextmanager
async def server(app: Any) -> AsyncIterator[int]:
    options = limited(app, LARGEST) | {"app": WholeBody(app, LARGEST, seconds=0.3), "http": Quick}
    listening = listen("127.0.0.1", 0)
    running = uvicorn.Server(uvicorn.Config(**options, log_level="critical", lifespan="off"))
    task = asyncio.create_task(running.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        running.should_exit = True
        await task


@pytest.fixture
async def codec() -> AsyncIterator[int]:
    async with server(app_of(EncryptionCodec(read_keys(new_key("1"))), [], ["127.0.0.1"])) as port:
        yield port


async def said(port: int, *pieces: str) -> str:
    """Send pieces, and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece.encode())
            await writer.drain()
        async with asyncio.timeout(20):
            return (await reader.read()).decode(errors="replace")
    except ConnectionResetError:
        return ""
    finally:
        writer.close()


def posted(body: str) -> str:
    return f"{HEAD}Connection: close\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"


CHUNKED = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    ["{", "[]", "5", "null", '"x"', '{"payloads": 5}', '{"payloads": [5]}', '{"payloads": [{"data": 5}]}', "[" * 900],
)
async def test_what_is_no_json_of_payloads_is_answered_400(codec: int, body: str) -> None:
    assert (await said(codec, posted(body))).startswith("HTTP/1.1 400 ")


async def test_what_is_right_is_answered(codec: int) -> None:
    answer = await said(codec, posted(json.dumps({"payloads": [{"data": "MQ=="}]})))
    assert answer.startswith("HTTP/1.1 200 ")
    chunk = '{"payloads": []}'
    head = CHUNKED.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    whole = await said(codec, head, f"{len(chunk):x}\r\n{chunk}\r\n", "0\r\n\r\n")
    assert whole.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((f"{HEAD}Content-Length: {LARGEST + 1}\r\n\r\n",), "413"),
        ((CHUNKED, *["190\r\n" + "x" * 400 + "\r\n"] * 3), "413"),
        ((CHUNKED, "5\r\nabc"), "408"),
        ((f"{HEAD}Content-Length: 100\r\n\r\n", "{"), "408"),
        ((HEAD + "X: " + "y" * 2 * HEAD_BYTES,), "400"),
    ],
    ids=["declared too large", "chunks too large", "chunks that stop", "a body that stops", "a head too large"],
)
async def test_a_body_has_its_size_and_its_time(codec: int, pieces: tuple[str, ...], status: str) -> None:
    assert (await said(codec, *pieces)).startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize("pieces", [(), ("POST /de",), (HEAD,)], ids=["nothing", "half a line", "half a head"])
async def test_a_head_that_does_not_come_ends_the_connection(codec: int, pieces: tuple[str, ...]) -> None:
    assert await said(codec, *pieces) == ""


async def test_so_does_half_a_second_request(codec: int) -> None:
    answer = await said(codec, posted("{}").replace("Connection: close\r\n", ""), "POST /de")
    assert answer.count("HTTP/1.1") == 1


async def test_connections_are_counted() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    async with server(app) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(Quick.most)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(0.2):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        for _, each in [*kept, (reader, writer)]:
            each.close()
