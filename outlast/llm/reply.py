"""From a message as the API gave it to a reply: text, tool calls, why it stopped, what it used. Pure, without any SDK."""

from typing import Any

from outlast.contracts import StopReason, ToolCall, Usage
from outlast.llm.base import CHARACTERS_PER_TOKEN, ModelCall, ModelReply, Progress
from outlast.llm.message import usage_of


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
        raise ValueError(f"{type(block['input']).__name__} is no object")
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
    said = str(message.get("stop_reason") or "")
    try:
        reason = StopReason(said)
    except ValueError:
        # Newer than our list, or another server's word: the answer is whole and paid, and asking again would not help.
        reason = _OTHER_WORDS.get(said, StopReason.END_TURN)
        if not said and usage.output_tokens >= limit:
            reason = StopReason.MAX_TOKENS
    calls = any(block.get("type") == "tool_use" for block in message["content"])
    return StopReason.TOOL_USE if calls and reason is StopReason.END_TURN else reason
