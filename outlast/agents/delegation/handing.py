"""An agent hands its conversation over to another, which goes on with it in the same session, with its own prompt and tools."""

from outlast.contracts import Part, ToolAnswer, ToolCall, ToolCard

MOST_HANDOFFS = 10
"""How often one conversation may be handed over: two agents that send it back and forth come to no end."""


def refusal(to: str, before: int, agent: str) -> str:
    """Say why the conversation does not go to an agent, or nothing; `to` is who has it already, `before` how often it went."""
    if to:
        return f"{agent} does not get the conversation: it was handed over to {to} in this same turn"
    if before >= MOST_HANDOFFS:
        return f"the conversation was handed over {before} times, which is the most; answer yourself"
    return ""


def taken(origin: str, card: ToolCard, call: ToolCall) -> ToolAnswer:
    """Answer the call by which a conversation is handed over; the next agent reads it first."""
    reason = " ".join(str(call.input.get("reason") or "").split())[:1000]
    why = f", because: {reason}" if reason else ""
    text = f"{origin} has handed this conversation over to {card.agent}, who answers from here on{why}"
    return ToolAnswer(id=call.id, content=Part(text=text))
