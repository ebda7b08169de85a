"""A real MCP server of the official SDK for tests: `python -m tests.doubles.mcp_server stdio`, or `http PORT`.

It lists its tools in pages of two. `hold` writes its process's id to a file and, the first time, never answers.
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.fastmcp import FastMCP, Image
from mcp.types import ListToolsRequest, ListToolsResult, ServerResult, ToolAnnotations

PAGE = 2
server = FastMCP("double", log_level="ERROR")


@server.tool(annotations=ToolAnnotations(readOnlyHint=True))
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@server.tool(name="note.append", annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=False))
def append(path: str, line: str) -> str:
    """Append a line to a file."""
    with Path(path).open("a") as file:
        file.write(f"{line}\n")
    return "appended"


def _marked(marker: Path) -> bool:
    """Whether this is not the first time; the first time, leave our process's id there, whole or not at all."""
    if marker.exists():
        return True
    marker.with_suffix(".new").write_text(str(os.getpid()))
    marker.with_suffix(".new").rename(marker)
    return False


@server.tool()
async def hold(path: str) -> str:
    """Never answer the first time, then answer."""
    if _marked(Path(path)):
        return "answered"
    await asyncio.Event().wait()
    return "never"


@server.tool(structured_output=False)
def picture() -> list[object]:
    """Give a text and an image."""
    return ["here it is", Image(data=b"123456", format="png")]


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("the stove is cold")


async def pages(request: ListToolsRequest | None) -> ServerResult:
    """List the tools in pages."""
    start = int(request.params.cursor) if request and request.params and request.params.cursor else 0
    tools = await server.list_tools()
    after = str(start + PAGE) if start + PAGE < len(tools) else None
    return ServerResult(ListToolsResult(tools=tools[start : start + PAGE], nextCursor=after))


server._mcp_server.request_handlers[ListToolsRequest] = pages

if __name__ == "__main__":
    if sys.argv[1] == "http":
        server.settings.port = int(sys.argv[2])
        server.run("streamable-http")
    else:
        server.run("stdio")
