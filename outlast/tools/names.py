"""Which tool a name in an agent file means: ours, Claude Code's for the same thing, or one of an MCP server.

Names that we lack (Bash, WebSearch where the model does not search by itself) stay as they are, so that they are reported as
missing in the words of the agent file.
"""

from typing import NamedTuple

CLAUDE_CODE = {
    "read": "read_file",
    "write": "write_file",
    "edit": "edit_file",
    "multiedit": "edit_file",
    "glob": "list_files",
    "ls": "list_files",
    "list": "list_files",
    "grep": "search_files",
    "webfetch": "fetch_url",
    "askuserquestion": "ask_person",
}
"""Names of Claude Code and of programs that read its files, in lower case."""

HOUSEKEEPING = frozenset(
    {
        *(
            "agent",
            "bashoutput",
            "enterplanmode",
            "exitplanmode",
            "killbash",
            "killshell",
            "sendmessage",
        ),
        *("skill", "slashcommand", "task", "taskcreate", "taskget", "tasklist", "taskoutput", "taskstop", "taskupdate"),
        *("todoread", "todowrite", "toolsearch"),
    }
)
"""Tools of Claude Code that manage its own session: an agent does not need them here, where workflows do that."""

SETTINGS = {
    "fetch_url": "FETCH_ALLOW",
    "query_database": "DATABASE_URL",
    "insert_row": "DATABASE_WRITE_TABLES",
    "update_row": "DATABASE_WRITE_TABLES",
    "delete_row": "DATABASE_WRITE_TABLES",
    "http_call": "HTTP_CALL_ALLOW",
    "send_mail": "SMTP_URL",
}
"""What a worker needs for those of our tools that are not always there."""

ASK_PERSON = "ask_person"
"""The tool that waits for a person; an agent has it only where its file names it."""

EVERY = "*"
MCP = "mcp__"


class McpName(NamedTuple):
    """A name of an agent file that means an MCP server: one of its tools (by its full name), or all (`tool` is empty)."""

    server: str
    tool: str


def bare(name: str) -> str:
    """Return a name without the brackets that narrow it in Claude Code: `Bash(git diff:*)`."""
    return name.partition("(")[0].strip()


def our_name(name: str) -> str:
    """Return our name of a tool; an unknown name stays as it is."""
    return CLAUDE_CODE.get(bare(name).casefold(), name.strip())


def mcp_name(name: str) -> McpName | None:
    """Read `mcp__server__tool`, `mcp__server__*` or `mcp__server`; None for any other name."""
    name = name.strip()
    if not name.startswith(MCP):
        return None
    server, _, inner = name.removeprefix(MCP).partition("__")
    return McpName(server, "" if inner in ("", "*") else name)
