"""Calls tools of real MCP servers the way a worker does; no process of theirs outlives a test."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from temporalio.testing import ActivityEnvironment

from outlast.contracts import ToolRequest, ToolResult, Toolset, ToolsetRequest
from outlast.storage.activities import ContentStore
from outlast.tools.activities import ToolActivities
from outlast.tools.mcp.servers import McpServers
from tests.approving import approved
from tests.processes import wait_for
from tests.real_process import command_of


class Mcp:
    """Calls tools of configured servers the way a worker does."""

    def __init__(self, directory: Path, store: ContentStore, servers: dict[str, Any]) -> None:
        config = directory / ".mcp.json"
        config.write_text(json.dumps({"mcpServers": servers}))
        self.store = store
        self.servers = McpServers.read(config)
        self.activities = ToolActivities(store, [], self.servers)

    async def toolset(self, *names: str) -> Toolset:
        return await ActivityEnvironment().run(self.activities.read_toolset, ToolsetRequest(names=names))

    async def call(self, toolset: Toolset, tool: str, attempt: int = 1, **arguments: Any) -> ToolResult:
        card = toolset.get(tool)
        assert card
        request = approved(ToolRequest(tool=tool, key="k", specs=toolset.specs, input=arguments, server=card.server))
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt, activity_id=tool)
        return await environment.run(self.activities.call_tool, request)

    async def said(self, toolset: Toolset, tool: str, attempt: int = 1, **arguments: Any) -> str:
        result = await self.call(toolset, tool, attempt, **arguments)
        assert not result.failed, result.content.text
        return await self.store.text(result.content)


Making = Callable[[dict[str, Any]], Mcp]


@pytest.fixture
async def making(tmp_path: Path, store: ContentStore) -> AsyncIterator[Making]:
    made: list[Mcp] = []
    before = {process.pid for process in processes()}

    def make(servers: dict[str, Any]) -> Mcp:
        made.append(Mcp(tmp_path, store, servers))
        return made[-1]

    yield make
    for mcp in made:
        await mcp.servers.aclose()
    assert [process for process in processes() if process.pid not in before] == []


async def listening(port: int) -> None:
    def reached() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    await asyncio.to_thread(wait_for, reached, "the server to listen")


def processes() -> list[psutil.Process]:
    """Return the processes of MCP servers that this test has started, those included that nobody has buried."""
    children = psutil.Process().children(recursive=True)
    return [each for each in children if _name(each).startswith("python") and "leash.py" not in command_of(each)]


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""
