"""Which tool a name in an agent file means: ours, Claude Code's for the same thing, or one of an MCP server.

The trap: names that we lack (Bash, Task, WebSearch where the model does not search by itself) stay as they are, so that they
are reported as missing in the words of the agent file.
"""

from typing import NamedTuple

CLAUDE_CODE = {
    "Read": "read_file",
    "Write": "write_file",
    "Edit": "edit_file",
    "MultiEdit": "edit_file",
    "Glob": "list_files",
    "LS": "list_files",
    "Grep": "search_files",
    "WebFetch": "fetch_url",
}

MCP = "mcp__"


class McpName(NamedTuple):
    """A name of an agent file that means an MCP server: one of its tools (by its full name), or all (`tool` is empty)."""

    server: str
    tool: str


def our_name(name: str) -> str:
    """Return our name of a tool; an unknown name stays as it is."""
    return CLAUDE_CODE.get(name.partition("(")[0].strip(), name.strip())


def mcp_name(name: str) -> McpName | None:
    """Read `mcp__server__tool`, `mcp__server__*` or `mcp__server`; None for any other name."""
    name = name.strip()
    if not name.startswith(MCP):
        return None
    server, _, inner = name.removeprefix(MCP).partition("__")
    return McpName(server, "" if inner in ("", "*") else name)
