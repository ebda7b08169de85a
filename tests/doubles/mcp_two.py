"""A small MCP server over stdio: one plain tool, and others that MCP allows and the Messages API refuses as they are.

python -m tests.doubles.mcp_two
"""

import json
import sys
from typing import Any

READ = {"readOnlyHint": True}
WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
EITHER = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "title": {"type": "string"}},
    "oneOf": [{"required": ["id"]}, {"required": ["title"]}],
}
FILTER = {"type": "object", "properties": {"$filter": {"type": "string"}}, "required": ["$filter"]}
TOOLS = [
    {"name": "lookup", "description": "Look a word up.", "inputSchema": WORD, "annotations": READ},
    {"name": "find_page", "description": "Find a page by id or title.", "inputSchema": EITHER, "annotations": READ},
    {"name": "search", "description": "Search with a filter.", "inputSchema": FILTER, "annotations": READ},
    {"name": "look.up", "description": "Look it up.", "inputSchema": {"type": "object"}, "annotations": READ},
    {"name": "count", "description": "Count.", "inputSchema": {"type": "array"}, "annotations": READ},
]


def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Answer one request; None for what needs no answer."""
    match asked.get("method"):
        case "initialize":
            version = asked["params"]["protocolVersion"]
            info = {"name": "two", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            said = f"{asked['params']['name']} found {json.dumps(asked['params']['arguments'])}"
            return {"content": [{"type": "text", "text": said}]}
        case "ping":
            return {}
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        result = answer(asked)
        if result is not None and asked.get("id") is not None:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}) + "\n")
            sys.stdout.flush()
