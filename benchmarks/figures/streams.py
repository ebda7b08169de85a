"""Many streamed answers at once: CPU that the client of the Messages API takes for each piece of text, no Temporal around it.

The same streams are read by the SDK's own `messages.stream` over its default transport and by the product's client, in turn,
in one process. The server is a process of its own, so that only the client is counted. `python -m benchmarks.figures.streams`
takes it alone.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic

from benchmarks.machine import calibration_ms, spread
from outlast.llm.base import ModelCall, Progress
from outlast.llm.claude import ClaudeLLM, make_client
from tests.doubles.wire import ending, message_start, text_block

STREAMS, DELTAS, PACE = 50, 400, 0.02
WORDS = " the tide turns"
CALL = ModelCall(model="claude-test", messages=(("user", "How are the tides?"),), max_tokens=5000)
"""One call, the same for all streams."""

Ask = Callable[[], Awaitable[int]]


async def measure(streams: int, deltas: int, pace: float, reps: int) -> dict[str, Any]:
    """Read `streams` answers of `deltas` pieces at once, one each `pace` seconds, by both clients, `reps` times in turn."""
    taken: dict[str, list[float]] = {"sdk": [], "product": []}
    async with _server(deltas, pace) as url:
        for _ in range(reps):
            for name, client in (("sdk", _sdk), ("product", _product)):
                async with client(url) as ask:
                    await ask()  # opens what is opened once
                    started = time.process_time()
                    answers = await asyncio.gather(*(ask() for _ in range(streams)))
                    taken[name].append((time.process_time() - started) / (streams * deltas) * 1e6)
                    if set(answers) != {deltas * len(WORDS)}:
                        raise RuntimeError(f"{name} read {set(answers)} characters")
    return {
        "streams": streams,
        "deltas": deltas,
        "pace_s": pace,
        "calibration_ms": calibration_ms(),
        "us_per_delta": {name: spread(values, 1) for name, values in taken.items()},
        "ratio": round(min(taken["product"]) / min(taken["sdk"]), 3),
    }


@asynccontextmanager
async def _sdk(url: str) -> Any:
    """The SDK as it comes, read as the product read it before."""
    async with anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0) as client:

        async def ask() -> int:
            characters = 0
            messages: Any = [{"role": role, "content": text} for role, text in CALL.messages]
            async with client.messages.stream(model=CALL.model, max_tokens=5000, messages=messages) as stream:
                async for each in stream:
                    characters += len(each.text) if each.type == "text" else 0
            return characters

        yield ask


@asynccontextmanager
async def _product(url: str) -> Any:
    async with make_client("x", url, 60) as client:
        llm = ClaudeLLM(client)

        async def ask() -> int:
            return len((await llm.answer(CALL, Progress())).text)

        yield ask


@asynccontextmanager
async def _server(deltas: int, pace: float) -> Any:
    command = [sys.executable, "-m", "benchmarks.figures.streams", "--serve", str(deltas), str(pace)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def _serve(deltas: int, pace: float) -> None:
    """Answer every request with the same stream."""
    start, piece, end = text_block(WORDS)
    before, after = message_start() + start, end + "".join(ending())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n" + _chunk(before))
        for _ in range(deltas):
            writer.write(_chunk(piece))
            await asyncio.sleep(pace)
        writer.write(_chunk(after) + b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def _chunk(text: str) -> bytes:
    return f"{len(text.encode()):x}\r\n{text}\r\n".encode()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(int(sys.argv[2]), float(sys.argv[3])))
    else:
        print(json.dumps(asyncio.run(measure(STREAMS, DELTAS, PACE, 3)), indent=1))
