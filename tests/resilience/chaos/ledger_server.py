"""An MCP server over stdio that books each line once for each idempotency key: `python ledger_server.py DATABASE`.

It has a helper, which does not notice the end of anything: whoever kills its worker must not leave that behind.
"""

import json
import sqlite3
import subprocess
import sys
from typing import Any

from outlast.tools.mcp.servers import IDEMPOTENCY_KEY

LINE = {"type": "object", "properties": {"line": {"type": "string"}}, "required": ["line"]}
TOOLS = [{"name": "book", "description": "Book a line.", "inputSchema": LINE}]


def answer(asked: dict[str, Any], database: sqlite3.Connection) -> dict[str, Any] | None:
    match asked.get("method"):
        case "initialize":
            version = asked["params"]["protocolVersion"]
            info = {"name": "ledger", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            key, line = asked["params"]["_meta"][IDEMPOTENCY_KEY], asked["params"]["arguments"]["line"]
            with database:
                database.execute("INSERT OR IGNORE INTO booked VALUES (?, ?)", (key, line))
            return {"content": [{"type": "text", "text": f"booked {line}"}]}
    return {} if asked.get("method") == "ping" else None


if __name__ == "__main__":
    subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    database = sqlite3.connect(sys.argv[1], timeout=30)
    for written in sys.stdin:
        asked = json.loads(written)
        result = answer(asked, database)
        if result is not None and asked.get("id") is not None:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}) + "\n")
            sys.stdout.flush()
