"""The MCP servers of one worker: their tools, one session with each, started when first needed, opened anew after a crash.

What a server declares about its tools is a hint. Only `readOnlyHint` makes a tool read-only here; every other tool counts as
irreversible, because we have no undo for it.
"""

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.documents.parsing.pool import PARSERS
from outlast.errors import text_of
from outlast.extras import require
from outlast.redaction import SECRETS, credentials_of, environment_secrets, header_secrets
from outlast.tools.mcp.config import HttpServer, McpConfig, StdioServer, read_config
from outlast.tools.mcp.session import McpSession, ServerGoneError
from outlast.tools.mcp.specs import McpTool, fitted
from outlast.tools.names import MCP

if TYPE_CHECKING:
    from mcp import types

CALL_SECONDS = 55.0
"""Longest wait for an answer; under the time-out of a tool's card, so that this error comes first and says more."""
MOST_PAGES = 100
RESULT_CHARACTERS = 200_000
IDEMPOTENCY_KEY = "durable-agents/idempotency-key"
"""Where a server finds, in `_meta`, the key that is the same in every attempt of one call."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class McpAnswer:
    """What a call gave, as text; `failed` if that is the tool's own error."""

    text: str
    failed: bool


class McpServers:
    """Lists and calls the tools of configured servers; `aclose` ends them all, with their processes."""

    def __init__(self, config: McpConfig) -> None:
        self._servers = dict(config.servers)
        self.wrong = dict(config.wrong)
        SECRETS.learn("MCP servers", secrets_of(self._servers))
        self._sessions: dict[str, McpSession] = {}
        self._opening = {name: asyncio.Lock() for name in self._servers}
        self._names: dict[str, dict[str, str]] = {}
        self._closed = False

    @classmethod
    def read(cls, path: Path | None) -> "McpServers":
        """Read the servers of an `.mcp.json`, or none; raises McpConfigError where the file cannot be read.

        A server that is wrong there is logged, and is missing for the agents that name it.
        """
        config = read_config(path, os.environ) if path else McpConfig()
        if config.servers:
            require("mcp", f"MCP_CONFIG={path}")
        for why in config.wrong.values():
            log.warning("an MCP server is left out: %s", why)
        return cls(config)

    @property
    def names(self) -> tuple[str, ...]:
        """The configured servers."""
        return tuple(self._servers)

    async def tools(self, server: str) -> list[McpTool]:
        """List the tools of a server, all pages; raises ConnectionError when it does not answer."""
        session = await self._session(server)
        listed: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(server, session, cursor)
            listed += page.tools
            if not page.nextCursor or page.nextCursor == cursor:
                break
            cursor = page.nextCursor
        found = await PARSERS.off_loop(fitted, server, listed)
        self._names[server] = {tool.card.name: tool.name for tool in found}
        return found

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], key: str) -> McpAnswer:
        """Call a tool by its full name; raises ConnectionError when the server does not answer or went away."""
        from mcp.shared.exceptions import McpError

        if server not in self._names:
            await self.tools(server)  # names of ours can differ from the server's own
        name = self._names[server].get(tool, tool.removeprefix(f"{MCP}{server}__"))
        session = await self._session(server)
        patience = timedelta(seconds=CALL_SECONDS)
        try:
            result = await session.ask(
                lambda its: its.call_tool(name, dict(arguments), patience, meta={IDEMPOTENCY_KEY: key})
            )
        except McpError as error:
            if error.error.code == TIMED_OUT:
                raise ConnectionError(f"{tool} gave no answer in {CALL_SECONDS:g} s") from None
            return McpAnswer(f"the MCP server {server} refused the call: {text_of(error)}", failed=True)
        except RuntimeError as error:  # the SDK's word for a result that breaks the tool's own output schema
            return McpAnswer(text_of(error), failed=True)
        text = _written(result)
        return McpAnswer(SECRETS(text) if result.isError else text, failed=bool(result.isError))

    async def aclose(self) -> None:
        """End all sessions; none can be opened afterwards."""
        self._closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        await asyncio.gather(*(session.aclose() for session in sessions))

    async def _page(self, server: str, session: McpSession, cursor: str | None) -> "types.ListToolsResult":
        from mcp import types
        from mcp.shared.exceptions import McpError

        parameters = types.PaginatedRequestParams(cursor=cursor) if cursor else None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await session.ask(lambda its: its.list_tools(params=parameters))
        except McpError as error:
            raise ConnectionError(f"the MCP server {server} does not list its tools: {text_of(error)}") from None
        except TimeoutError:
            raise ConnectionError(f"the MCP server {server} gave no list of tools in {CALL_SECONDS:g} s") from None

    async def _session(self, server: str) -> McpSession:
        """Return the running session of a server; one that ended is closed and opened anew."""
        async with self._opening[server]:
            session = self._sessions.get(server)
            if session is None or session.gone:
                if session is not None:
                    await session.aclose()
                if self._closed:
                    raise ServerGoneError("this worker is stopping")
                session = self._sessions[server] = McpSession(server, self._servers[server])
            await session.opened()
            return session


def secrets_of(servers: Mapping[str, StdioServer | HttpServer]) -> list[tuple[str, str]]:
    """Return what is secret in the configuration of servers: headers, credentials in URLs and arguments, environments."""
    found: list[tuple[str, str]] = []
    for name, server in servers.items():
        label = f"mcpServers.{name}"
        if isinstance(server, HttpServer):
            found += [*header_secrets(f"{label}.headers", server.headers), *credentials_of(f"{label}.url", server.url)]
        else:
            found += environment_secrets(server.env, f"{label}.env.")
            found += [pair for each in server.args if "://" in each for pair in credentials_of(f"{label}.args", each)]
    return found


TIMED_OUT = 408
"""The SDK's code for a request that nobody answered in time."""


def _written(result: "types.CallToolResult") -> str:
    """Return a result as text: texts joined, everything else described in words."""
    text = "\n".join(_block(block) for block in result.content)
    if not text and result.structuredContent is not None:
        text = json.dumps(result.structuredContent, ensure_ascii=False)
    if len(text) > RESULT_CHARACTERS:
        return f"{text[:RESULT_CHARACTERS]}\n[… {len(text) - RESULT_CHARACTERS} more characters]"
    return text


def _block(block: "types.ContentBlock") -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"[{block.type}, {block.mimeType}, {len(block.data) * 3 // 4} bytes; it cannot be shown]"
        case "resource_link":
            return f"[resource {block.name}: {block.uri}]"
        case "resource":
            inner = block.resource
            text = getattr(inner, "text", None)
            return text if isinstance(text, str) else f"[resource {inner.uri}, {inner.mimeType or 'of unknown type'}]"
