"""A server that streams as a model does: every answer is the same, one piece each so many seconds; it counts its calls.

    python -m benchmarks.stream_server PORT DELTAS PACE

It writes bytes and parses nothing, so that hundreds of streams leave the cores to those who read them.
"""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.wire import ending, message_start, text_block
from tests.real_process import RealProcess, clean_environment, free_port

WORDS = " the tide turns"
"""One piece of text."""


@dataclass
class StreamServer(RealProcess):
    """The server as a process of its own."""

    url: str = ""

    def calls(self) -> dict[str, int]:
        """Return how many calls have `begun`, and how many were `answered` to their end."""
        with urllib.request.urlopen(f"{self.url}/calls", timeout=10) as answered:
            counted: dict[str, int] = json.loads(answered.read())
        return counted


@contextmanager
def stream_server(directory: Path, deltas: int, pace: float) -> Iterator[StreamServer]:
    """Run it while the block runs; its output goes to a file in `directory`."""
    port = free_port()
    server = StreamServer(
        command=[sys.executable, "-m", "benchmarks.stream_server", str(port), str(deltas), str(pace)],
        log=directory / "stream_server.log",
        env=clean_environment(),
        url=f"http://127.0.0.1:{port}",
    )
    server.start()
    try:
        server.wait_until(lambda: "ready" in server.output, "the stream server is ready")
        yield server
    finally:
        server.stop()


async def serve(port: int, deltas: int, pace: float) -> None:
    """Answer every request with the same stream."""
    start, piece, end = text_block(WORDS)
    before, after = message_start() + start, end + "".join(ending())
    calls = {"begun": 0, "answered": 0}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            text = json.dumps(calls).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        else:
            calls["begun"] += 1
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            await stream(writer)
            calls["answered"] += not writer.is_closing()
        writer.close()

    async def stream(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n")
        writer.write(b"transfer-encoding: chunked\r\n\r\n" + _chunk(before))
        sent, begun = 0, time.monotonic()
        while sent < deltas and not writer.is_closing():
            # By the clock: on busy cores, pauses that are each a little too long would make every stream longer.
            due = min(deltas, int((time.monotonic() - begun) / pace) + 1)
            for _ in range(sent, due):
                writer.write(_chunk(piece))
            sent = due
            await asyncio.sleep(max(0.0, begun + sent * pace - time.monotonic()))
        writer.write(_chunk(after) + b"0\r\n\r\n")
        await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=1000)
    print("ready", flush=True)
    await server.serve_forever()


def _chunk(text: str) -> bytes:
    return f"{len(text.encode()):x}\r\n{text}\r\n".encode()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
