"""Builds a message from the events of a stream, reporting progress, and the reply from the message. Pure, without any SDK.

The SDK builds typed objects and a whole snapshot at every event, which costs a busy worker more than all else. Here an event
is a dictionary, and the pieces of a text are joined once. Missing and null fields count as empty.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from pydantic_core import from_json

from outlast.contracts import StopReason, ToolCall, Usage
from outlast.llm.base import CHARACTERS_PER_TOKEN, ModelCall, ModelReply, Progress

_TOOLS = ("tool_use", "server_tool_use")
_PIECES = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool_use", "partial_json"),
}
"""Deltas that come in pieces: the type of block they belong to, and the field that holds the piece."""


class MessageBuilder:
    """Takes the events of one answer in order.

    Text is reported to `progress` by `report`, in batches of events. `observe` is called with the few events that concern the
    call as a whole.
    """

    def __init__(self, progress: Progress, observe: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.ended = False
        """Whether the server signalled the end."""
        self._progress = progress
        self._observe = observe
        self._message: dict[str, Any] | None = None
        self._blocks: list[_Block] = []
        self._by_index: dict[object, _Block] = {}
        self._usage: dict[str, Any] = {}
        self._readable: list[str] = []
        self._received: list[str] = []

    @property
    def begun(self) -> bool:
        """Whether the answer has begun."""
        return self._message is not None

    @property
    def complete(self) -> bool:
        """Whether the answer is whole: the model gave a stop reason, or the server signalled the end."""
        return self._message is not None and (self.ended or self._message.get("stop_reason") is not None)

    @property
    def cut_off(self) -> bool:
        """Whether a tool's arguments break off, which only an answer that was cut off may have."""
        return any(block.cut_off for block in self._blocks)

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event; one of an unknown type changes nothing."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self._delta(event)
        elif kind == "content_block_start":
            self._begin_block(event)
        elif kind == "message_start":
            self._start(_object(event.get("message")))
        elif kind == "message_delta" and self._message is not None:
            changed = _object(event.get("delta"))
            self._message.update({name: value for name, value in changed.items() if value is not None})
            self._use(event.get("usage"), counted=True)
        elif kind == "message_stop":
            self.ended = self._message is not None
        if self._observe is not None:
            self._observe(event)

    def report(self) -> None:
        """Report to `progress` what has come since the last time."""
        if self._readable:
            self._progress.received_text("".join(self._readable))
            self._readable = []
        if self._received:
            self._progress.received("".join(self._received))
            self._received = []

    def message(self) -> dict[str, Any] | None:
        """Return the message with its content and usage, or None where the answer broke off."""
        if self._message is None or not self.complete:
            return None
        return {**self._message, "content": [block.assembled() for block in self._blocks], "usage": dict(self._usage)}

    def _start(self, message: dict[str, Any]) -> None:
        self._message = {**message, "content": []}
        self._blocks, self._by_index = [], {}
        for index, block in enumerate(_content(message.get("content"))):
            self._begin_block({"index": index, "content_block": block})
        self._use(message.get("usage"))

    def _begin_block(self, event: dict[str, Any]) -> None:
        block = _Block(_object(event.get("content_block")))
        self._blocks.append(block)
        self._by_index[event.get("index")] = block  # where a server calls all of them 0, the newest is meant
        if text := block.start.get("text"):
            self._readable.append(str(text))

    def _delta(self, event: dict[str, Any]) -> None:
        delta, block = event.get("delta"), self._by_index.get(event.get("index"))
        if not isinstance(delta, dict):
            return
        kind = delta.get("type")
        if kind in _PIECES:
            owner, field = _PIECES[kind]
            piece = delta.get(field)
            if block is None and owner != "tool_use":
                self._begin_block({"index": event.get("index"), "content_block": {"type": owner}})
                block = self._blocks[-1]
            if block is not None and isinstance(piece, str) and block.takes(owner):
                block.pieces.append(piece)
                (self._readable if owner == "text" else self._received).append(piece)
        elif block is not None and kind == "signature_delta" and block.takes("thinking"):
            block.start["signature"] = delta.get("signature")
        elif block is not None and kind == "citations_delta" and block.takes("text"):
            block.start["citations"] = [*(block.start.get("citations") or ()), delta.get("citation")]

    def _use(self, usage: object, *, counted: bool = False) -> None:
        known = {name: value for name, value in _object(usage).items() if value is not None}
        if known:
            self._usage.update(known)
            self._progress.usage = usage_of(self._usage)
            self._progress.counted = counted


class _Block:
    """One content block while it comes: how it began, and the pieces of its text, thinking or arguments."""

    __slots__ = ("cut_off", "pieces", "start")

    def __init__(self, start: dict[str, Any]) -> None:
        self.start = start
        self.cut_off = False
        self.pieces: list[str] = []

    def takes(self, owner: str) -> bool:
        """Whether such deltas belong to it; a block that began without a type becomes what its first delta is."""
        kind = self.start.setdefault("type", owner)
        return kind == owner or (owner == "tool_use" and kind in _TOOLS)

    def assembled(self) -> dict[str, Any]:
        block, kind = dict(self.start), self.start.get("type")
        written = "".join(self.pieces)
        if kind in ("text", "thinking"):
            block[kind] = str(block.get(kind) or "") + written
        elif kind in _TOOLS:
            given = block.get("input") or {}
            written = written if written.strip() or not isinstance(given, str) else given
            block["input"], self.cut_off = _arguments(written) if written.strip() else (given, False)
        # The API does not take all null fields back.
        return {
            name: value if name == "input" else _without_nulls(value)
            for name, value in block.items()
            if value is not None
        }


def usage_of(usage: dict[str, Any]) -> Usage:
    """Read the tokens of a message; what is missing or no number counts as none."""
    return Usage(
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        cache_read_tokens=_count(usage.get("cache_read_input_tokens")),
        cache_write_tokens=_count(usage.get("cache_creation_input_tokens")),
    )


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 < value < 2**53 else 0


def _arguments(written: str) -> tuple[Any, bool]:
    """Read a tool's arguments; where they break off, as far as they came, and True. What follows them is of no interest."""
    try:
        return from_json(written), False
    except ValueError:
        with suppress(ValueError):
            return json.JSONDecoder().raw_decode(written.strip())[0], False  # takes halves of characters
        return from_json(written, allow_partial=True), True


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _content(content: object) -> Iterable[dict[str, Any]]:
    """Return the blocks of a content that may be a text, or null."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def reply_of(message: dict[str, Any], call: ModelCall, progress: Progress, request_id: str) -> ModelReply:
    """Read the reply; raises ValueError where a tool's arguments are no object."""
    blocks = message["content"]
    usage = usage_of(message["usage"])
    if not usage.output_tokens:
        # Some servers count nothing.
        usage = usage.model_copy(update={"output_tokens": progress.characters // CHARACTERS_PER_TOKEN})
    return ModelReply(
        text="".join(block["text"] for block in blocks if block.get("type") == "text"),
        stop_reason=_stop_reason(message, usage, call.max_tokens),
        usage=usage,
        model=str(message.get("model") or call.model),
        request_id=request_id,
        tool_calls=tuple(_tool_call(block) for block in blocks if block.get("type") == "tool_use"),
        blocks=tuple(blocks),
    )


def _tool_call(block: dict[str, Any]) -> ToolCall:
    if not isinstance(block["input"], dict):
        raise ValueError(f"{type(block['input']).__name__} is not an object")
    return ToolCall(id=str(block.get("id") or ""), name=str(block.get("name") or ""), input=block["input"])


_OTHER_WORDS = {
    "length": StopReason.MAX_TOKENS,
    "max_output_tokens": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_USE,
    "function_call": StopReason.TOOL_USE,
    "content_filter": StopReason.REFUSAL,
}
"""What gateways in front of other models say. A length that is met must not pass for the end of an answer."""


def _stop_reason(message: dict[str, Any], usage: Usage, limit: int) -> StopReason:
    stated = str(message.get("stop_reason") or "")
    try:
        reason = StopReason(stated)
    except ValueError:
        # Newer than our list, or another server's word: the answer is whole and paid, and asking again would not help.
        reason = _OTHER_WORDS.get(stated, StopReason.END_TURN)
        if not stated and usage.output_tokens >= limit:
            reason = StopReason.MAX_TOKENS
    calls = any(block.get("type") == "tool_use" for block in message["content"])
    return StopReason.TOOL_USE if calls and reason is StopReason.END_TURN else reason
