"""The deterministic twin of a model, for tests and benchmarks: it runs in the worker's process and costs nothing.

It passes the same way as Claude (activity, contracts, content store), so a test with it tests everything but the wire.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from outlast.contracts import StopReason, Usage
from outlast.llm.base import ModelCall, ModelReply, Progress

SLICE = 65_536

Script = Callable[[ModelCall], "str | ModelReply | Awaitable[str | ModelReply]"]


@dataclass
class ScriptedLLM:
    """Answers each call by a function of the call; a text becomes a reply that ended normally.

    `latency` is in seconds. `calls` holds every call made, in order. The script may raise any error of
    `outlast.errors`, or return an awaitable to wait for something first; like Claude's, the prompt of such a call is paid
    for as soon as it has begun.
    """

    script: Script
    latency: float = 0.0
    calls: list[ModelCall] = field(default_factory=list)

    async def answer(self, call: ModelCall, progress: Progress) -> ModelReply:
        """Answer by script."""
        self.calls.append(call)
        if self.latency:
            await asyncio.sleep(self.latency)
        scripted = self.script(call)
        if not isinstance(scripted, str | ModelReply):
            progress.usage = Usage(input_tokens=_words_in(call))
            scripted = await scripted
        reply = scripted if isinstance(scripted, ModelReply) else self._reply(call, scripted)
        progress.received_text(reply.text)
        return reply

    def _reply(self, call: ModelCall, text: str) -> ModelReply:
        usage = Usage(input_tokens=_words_in(call), output_tokens=_words(text))
        return ModelReply(text, StopReason.END_TURN, usage, call.model, f"scripted-{len(self.calls)}")


def _words_in(call: ModelCall) -> int:
    return sum(_words(text) for _, text in call.messages) + _words(call.system)


def _words(text: str) -> int:
    """Count words slice by slice: a list of all words of a large text takes fifteen times its size."""
    total = 0
    for at in range(0, len(text), SLICE):
        piece = text[at : at + SLICE]
        total += len(piece.split())
        if at and not (text[at - 1].isspace() or piece[0].isspace()):
            total -= 1  # a word that lies in both
    return total
