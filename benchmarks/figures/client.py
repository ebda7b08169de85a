"""Many streamed answers at once: CPU that the client of the Messages API takes for each piece of text, no Temporal around it.

The same streams are read by the SDK's own `messages.stream` over its default transport and by the product's client, in turn,
in one process. The server is a process of its own, so that only the client is counted. `python -m benchmarks.figures.client`
takes it alone.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic

from benchmarks.machine import calibration_ms, spread
from benchmarks.stream_server import WORDS, stream_server
from outlast.llm.base import ModelCall, Progress
from outlast.llm.claude import ClaudeLLM, make_client

STREAMS, DELTAS, PACE = 50, 400, 0.02
CALL = ModelCall(model="claude-test", messages=(("user", "How are the tides?"),), max_tokens=5000)
"""One call, the same for all streams."""

Ask = Callable[[], Awaitable[int]]


async def measure(streams: int, deltas: int, pace: float, reps: int) -> dict[str, Any]:
    """Read `streams` answers of `deltas` pieces at once, one each `pace` seconds, by both clients, `reps` times in turn."""
    taken: dict[str, list[float]] = {"sdk": [], "product": []}
    with tempfile.TemporaryDirectory() as directory, stream_server(Path(directory), deltas, pace) as server:
        for _ in range(reps):
            for name, client in (("sdk", _sdk), ("product", _product)):
                async with client(server.url) as ask:
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


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(STREAMS, DELTAS, PACE, 3)), indent=1))
