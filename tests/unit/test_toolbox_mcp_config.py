"""`.mcp.json`: what is read from it, with variables, and that a wrong file is named by file and field."""

import json
from pathlib import Path
from typing import Any

import pytest

from activities.toolbox.mcp_config import HttpServer, McpConfigError, StdioServer, read_config
from activities.toolbox.mcp_servers import McpServers
from activities.toolbox.names import mcp_name, our_name


def read(directory: Path, servers: Any, **environment: str) -> dict[str, StdioServer | HttpServer]:
    path = directory / ".mcp.json"
    path.write_text(json.dumps({"mcpServers": servers}))
    return read_config(path, environment)


def test_both_kinds_are_read_with_their_variables(tmp_path: Path) -> None:
    servers = {
        "files": {"command": "${BIN:-npx}", "args": ["-y", "${DIR}/x"], "env": {"KEY": "${KEY:-}"}, "disabled": False},
        "docs": {
            "type": "http",
            "url": "https://${HOST:-docs.test}/mcp",
            "headers": {"Authorization": "Bearer ${KEY}"},
        },
        "bare": {"url": "http://127.0.0.1:1/mcp"},
    }
    assert read(tmp_path, servers, DIR="/d", KEY="k", HOST="h.test") == {
        "files": StdioServer(command="npx", args=("-y", "/d/x"), env={"KEY": "k"}),
        "docs": HttpServer(url="https://h.test/mcp", headers={"Authorization": "Bearer k"}),
        "bare": HttpServer(url="http://127.0.0.1:1/mcp"),
    }


@pytest.mark.parametrize(
    ("servers", "field"),
    [
        ({"a": {"command": ""}}, r"mcpServers\.a\.command"),
        ({"a": {}}, r"mcpServers\.a\.command"),
        ({"a": []}, r"mcpServers\.a"),
        ({"a": {"command": "x", "args": "y"}}, r"mcpServers\.a\.args"),
        ({"a": {"command": "x", "env": {"K": 1}}}, r"mcpServers\.a\.env\.K"),
        ({"a": {"command": "x", "args": ["${ABSENT}"]}}, r"mcpServers\.a\.args\[0\]: the variable ABSENT is not set"),
        ({"a": {"url": "docs.test"}}, r"mcpServers\.a\.url"),
        ({"a": {"type": "sse", "url": "https://docs.test"}}, r"mcpServers\.a: .*'sse'"),
        ({"a__b": {"command": "x"}}, r"mcpServers\.a__b"),
        ([], r"mcpServers must be an object"),
    ],
)
def test_a_wrong_file_is_named_by_file_and_field(tmp_path: Path, servers: Any, field: str) -> None:
    with pytest.raises(McpConfigError, match=field) as caught:
        read(tmp_path, servers)
    assert str(tmp_path / ".mcp.json") in str(caught.value)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(McpConfigError) as caught:
        read(tmp_path, {"a": {"type": "http", "url": "${KEY}", "headers": {"A": "${KEY}"}}}, KEY="s3cret")
    assert "s3cret" not in str(caught.value)


def test_files_that_are_absent_or_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(McpConfigError, match=r"absent\.json cannot be read: No such file"):
        McpServers.read(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(McpConfigError, match=r"broken\.json is not JSON"):
        McpServers.read(tmp_path / "broken.json")
    assert McpServers.read(None).names == ()


@pytest.mark.parametrize(
    ("name", "server", "tool"),
    [
        ("mcp__time", "time", ""),
        ("mcp__time__*", "time", ""),
        ("mcp__my_time__get_now", "my_time", "mcp__my_time__get_now"),
        ("mcp__time__a__b", "time", "mcp__time__a__b"),
    ],
)
def test_names_of_servers_and_their_tools(name: str, server: str, tool: str) -> None:
    assert mcp_name(name) == (server, tool)


def test_names_of_claude_code() -> None:
    assert [
        our_name(name) for name in ("Read", "MultiEdit", "LS", "WebFetch", "Read(src/**)", "WebSearch", "Bash")
    ] == [*("read_file", "edit_file", "list_files", "fetch_url", "read_file", "WebSearch", "Bash")]
    assert mcp_name("Read") is None
