"""A published MCP server, over stdio and over HTTP, and killed in between."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio.exceptions import ApplicationError

from outlast.contracts import Effect, Toolset
from tests.activity.tools.mcp_calling import Making, Mcp, listening, making, processes
from tests.processes import RealProcess, clean_environment, free_port
from tests.real_process import command_of

__all__ = ["making"]

SERVER = [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]
NOON: dict[str, Any] = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}


async def difference(mcp: Mcp, toolset: Toolset) -> str:
    """Ask how far Tokyo is ahead, twice if need be; as first attempts, which never take a kept answer."""
    for _ in range(2):
        with suppress(ApplicationError):
            said = await mcp.said(toolset, "mcp__time__convert_time", **NOON)
            return str(json.loads(said)["time_difference"])
    return "no answer"


async def test_a_published_server_answers(making: Making) -> None:
    mcp = making({"time": {"command": SERVER[0], "args": SERVER[1:]}})
    toolset = await mcp.toolset("mcp__time")
    assert [(card.name, card.effect, card.server) for card in toolset.tools] == [
        ("mcp__time__get_current_time", Effect.READ, "time"),
        ("mcp__time__convert_time", Effect.READ, "time"),
    ]
    said = await mcp.said(
        toolset,
        "mcp__time__convert_time",
        source_timezone="UTC",
        time="12:00",
        target_timezone="Asia/Tokyo",
    )
    assert json.loads(said)["time_difference"] == "+9.0h"
    wrong = await mcp.call(toolset, "mcp__time__get_current_time", timezone="Mars/Olympus")
    assert wrong.failed
    assert "timezone" in (wrong.content.text or "").lower()
    missing = await mcp.call(toolset, "mcp__time__get_current_time")
    assert missing.failed
    assert "'timezone' is a required property" in (missing.content.text or "")


async def test_killed_over_stdio_it_is_started_again(making: Making) -> None:
    mcp = making({"time": {"command": SERVER[0], "args": SERVER[1:]}})
    toolset = await mcp.toolset("mcp__time")
    [server] = [process for process in processes() if "mcp_server_time" in command_of(process)]
    server.kill()
    server.wait(10)
    assert await difference(mcp, toolset) == "+9.0h"


async def test_killed_over_http_it_answers_once_it_is_back(making: Making, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "mcp_proxy", "--host", "127.0.0.1", "--port", str(port), "--", *SERVER]
    process = RealProcess(command, tmp_path / "proxy.log", clean_environment())
    process.start()
    try:
        await listening(port)
        mcp = making({"time": {"type": "http", "url": f"http://127.0.0.1:{port}/mcp"}})
        toolset = await mcp.toolset("mcp__time")
        assert await difference(mcp, toolset) == "+9.0h"
        process.stop()
        assert await difference(mcp, toolset) == "no answer"
        process.start()
        await listening(port)
        assert await difference(mcp, toolset) == "+9.0h"
    finally:
        process.stop()
