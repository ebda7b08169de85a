"""Chooses the tools of one agent by the names in its file, and says which of them nothing answers to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from outlast.contracts import ToolCard, ToolSpec
from outlast.tools.mcp.specs import McpTool
from outlast.tools.names import ASK_PERSON, EVERY, HOUSEKEEPING, MCP, SETTINGS, McpName, bare, mcp_name, our_name
from outlast.tools.tool import Tool

MOST_TOOLS = 128
"""How many tools one request may name."""

Listing = Sequence[McpTool] | str
"""The tools of a server, or why it does not list them."""


@dataclass
class Chosen:
    """The tools that were found, by name; what is missing of those that are named; and what else people should know."""

    tools: dict[str, tuple[ToolCard, ToolSpec]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def servers_of(names: Iterable[str], configured: Iterable[str]) -> list[str]:
    """List the configured servers that names mean; `*` means all of them."""
    asked = list(names)
    named = [found.server for name in asked if (found := mcp_name(name))]
    return [name for name in configured if name in named or EVERY in asked]


def choose(
    names: Sequence[str], without: Sequence[str], ours: Mapping[str, Tool], listings: Mapping[str, Listing]
) -> Chosen:
    """Choose by name; tools that are named themselves come before those that came with a whole server, if there are too many."""
    chosen = Chosen()
    whole: list[str] = []
    for name in names:
        theirs = mcp_name(name)
        if name == EVERY:
            undoing = {tool.undo for tool in ours.values()} | {ASK_PERSON}
            chosen.tools |= {one.name: (one.card, one.spec) for one in ours.values() if one.name not in undoing}
            whole += [server for server in listings if server not in whole]
        elif theirs is None:
            _ours(chosen, name, ours)
        elif theirs.tool:
            _one(chosen, name, theirs, listings.get(theirs.server))
        elif isinstance(listing := listings.get(theirs.server), str) or listing is None:
            chosen.missing.append(f"{name} ({_absent(theirs.server, listing)})")
        else:
            whole += [theirs.server] if theirs.server not in whole else []
    for server in whole:
        _all(chosen, server, listings[server])
    for name in without:
        _drop(chosen, name)
    if names and not chosen.tools and not chosen.missing and not without:
        chosen.missing.append(f"{', '.join(names)} (nothing of it can be used here)")
    if len(chosen.tools) > MOST_TOOLS:
        left_out = list(chosen.tools)[MOST_TOOLS:]
        chosen.notices.append(f"{len(left_out)} of {len(chosen.tools)} tools are left out, from {left_out[0]} on")
        chosen.tools = dict(list(chosen.tools.items())[:MOST_TOOLS])
    return chosen


def _ours(chosen: Chosen, name: str, ours: Mapping[str, Tool]) -> None:
    tool = ours.get(our_name(name))
    if tool is not None and any(tool.name == other.undo for other in ours.values()):
        chosen.missing.append(f"{name} (it undoes calls of other tools, and no agent calls it)")
    elif tool is not None:
        chosen.tools[tool.name] = (tool.card, tool.spec)
    elif bare(name).casefold() in HOUSEKEEPING:
        chosen.notices.append(f"{name} manages a session of Claude Code; there is no need for it here")
    else:
        setting = SETTINGS.get(our_name(name))
        chosen.missing.append(f"{name} (the worker has no {setting})" if setting else name)


def _one(chosen: Chosen, name: str, theirs: McpName, listing: Listing | None) -> None:
    """Take one tool of a server, by the name that it has here or at its server."""
    if listing is None or isinstance(listing, str):
        chosen.missing.append(f"{name} ({_absent(theirs.server, listing)})")
        return
    at_server = theirs.tool.removeprefix(f"{MCP}{theirs.server}__")
    found = next((each for each in listing if each.card.name == theirs.tool or each.name == at_server), None)
    if found is None:
        chosen.missing.append(f"{name} (the MCP server {theirs.server} has no such tool)")
    elif found.spec is None:
        chosen.missing.append(f"{name} ({found.changed})")
    else:
        _take(chosen, found, found.spec)


def _all(chosen: Chosen, server: str, listing: Listing) -> None:
    if isinstance(listing, str):
        chosen.notices.append(_absent(server, listing))
        return
    for each in listing:
        if each.spec is None:
            chosen.notices.append(f"{each.card.name} is left out: {each.changed}")
        else:
            _take(chosen, each, each.spec)


def _take(chosen: Chosen, tool: McpTool, spec: ToolSpec) -> None:
    if tool.card.name not in chosen.tools:
        chosen.tools[tool.card.name] = (tool.card, spec)
        chosen.notices += [f"{tool.card.name}: {tool.changed}"] if tool.changed else []


def _drop(chosen: Chosen, name: str) -> None:
    theirs = mcp_name(name)
    for found, (card, _) in list(chosen.tools.items()):
        same = found == (theirs.tool or found) and card.server == theirs.server if theirs else found == our_name(name)
        if same or name == EVERY:
            del chosen.tools[found]


def _absent(server: str, reason: str | None) -> str:
    return reason if reason is not None else f"no MCP server {server!r} is configured"
