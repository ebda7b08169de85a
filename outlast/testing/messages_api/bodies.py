"""What the double of the Messages API says: texts, the smallest answer that fits a JSON schema, and events of a stream."""

import json
from typing import Any

PLAN = {
    "steps": [
        {"step": 1, "agent": "researcher", "input": "Collect the facts.", "depends_on": []},
        {"step": 2, "agent": "researcher", "input": "Collect the opinions.", "depends_on": []},
        {"step": 3, "agent": "writer", "input": "Write it up.", "depends_on": [1, 2]},
    ]
}
FILLER = "The quick brown fox jumps over the lazy dog. "
CHARACTERS_PER_TOKEN = 4


def answer_text(body: dict[str, Any], user: str, size: int, run: str = "") -> str:
    """Answer a call by its own looks: JSON where a schema is asked for, else a text of at least `size` characters.

    Whatever is written names the `run`, so that the calls made of it do.
    """
    wanted = body.get("output_config", {}).get("format", {}).get("schema")
    of = f" ({run})" if run else ""
    if wanted is not None:
        return json.dumps(plan_of(of) if "steps" in wanted.get("properties", {}) else smallest(wanted))
    text = f"Answer to{of}: {' '.join(user.split())[:60]}"
    if size <= len(text):
        return text
    return (text + ". " + FILLER * (size // len(FILLER) + 1))[:size]


def plan_of(run: str) -> dict[str, Any]:
    """Write the plan whose steps name their run."""
    return {"steps": [{**step, "input": f"{step['input']}{run}"} for step in PLAN["steps"]]}


def smallest(schema: dict[str, Any]) -> Any:
    """Build the smallest value that fits a schema, taking the first choice wherever there is one."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return smallest(schema[choice][0])
    match schema.get("type"):
        case "object":
            return {name: smallest(schema["properties"][name]) for name in schema.get("required", ())}
        case "array":
            return [smallest(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return "text"


def whole_message(body: dict[str, Any], text: str, number: int) -> dict[str, Any]:
    """Build a complete answer message."""
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(json.dumps(body["messages"])) // CHARACTERS_PER_TOKEN,
            "output_tokens": len(text) // CHARACTERS_PER_TOKEN + 1,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        },
    }


def calling(tool: str, given: dict[str, Any], turn: int, run: str, number: str) -> dict[str, Any]:
    """Build the part of an answer message that calls a tool; asked the same again, it says the same."""
    filled = {
        name: value.replace("{turn}", str(turn)).replace("{run}", run) if isinstance(value, str) else value
        for name, value in given.items()
    }
    block = {"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": filled}
    return {"content": [block], "stop_reason": "tool_use"}


def events_before(message: dict[str, Any]) -> list[str]:
    """Return the events that come before the first text, or before the arguments of a tool call."""
    block = message["content"][0]
    empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
    start = message | {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    return [
        event("message_start", message=start),
        event("content_block_start", index=0, content_block=block | empty),
    ]


def event(kind: str, **fields: Any) -> str:
    """Write one server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"
