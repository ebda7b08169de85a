"""`.mcp.json`: what is read from it, with variables, and that a wrong file is named by file and field."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from outlast.tools.mcp.config import HttpServer, McpConfig, McpConfigError, StdioServer, read_config
from outlast.tools.mcp.servers import McpServers
from outlast.tools.names import mcp_name, our_name


def read(directory: Path, servers: Any, **environment: str) -> McpConfig:
    return read_file(directory, {"mcpServers": servers}, **environment)


def read_file(directory: Path, content: Any, **environment: str) -> McpConfig:
    path = directory / ".mcp.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
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
    assert read(tmp_path, servers, DIR="/d", KEY="k", HOST="h.test").servers == {
        "files": StdioServer(command="npx", args=("-y", "/d/x"), env={"KEY": "k"}),
        "docs": HttpServer(url="https://h.test/mcp", headers={"Authorization": "Bearer k"}),
        "bare": HttpServer(url="http://127.0.0.1:1/mcp"),
    }


COMMAND = {"command": "x", "args": ["y"]}
STDIO = StdioServer(command="x", args=("y",))
SITUATIONS: dict[str, tuple[Any, dict[str, StdioServer | HttpServer]]] = {
    "servers at the top": ({"a": COMMAND}, {"a": STDIO}),
    "a schema beside servers at the top": ({"$schema": "https://x.test/s.json", "a": COMMAND}, {"a": STDIO}),
    "the key of an editor": ({"inputs": [], "servers": {"a": COMMAND}}, {"a": STDIO}),
    "in an editor's settings": ({"mcp": {"servers": {"a": COMMAND}}, "editor.tabSize": 2}, {"a": STDIO}),
    "below mcp": ({"mcp": {"a": {"type": "local", "command": ["x", "y"], "enabled": True}}}, {"a": STDIO}),
    "no servers": ({"mcpServers": {}}, {}),
    "an empty file": ({}, {}),
    "comments and trailing commas": (
        '// mine\n{"mcpServers": {"a": {"command": "x", /* why */ "args": ["y",],},}}',
        {"a": STDIO},
    ),
    "an address in a text is not a comment": ('{"mcpServers": {"a": {"url": "http://h.test/mcp",},}}', {"a": HttpServer(url="http://h.test/mcp")}),
    "a mark of the encoding": ('\ufeff{"mcpServers": {"a": {"command": "x", "args": ["y"]}}}', {"a": STDIO}),
    "events of the server": (
        {"mcpServers": {"a": {"type": "sse", "url": "https://h.test/events"}}},
        {"a": HttpServer(type="sse", url="https://h.test/events")},
    ),
    "events without a type": (
        {"mcpServers": {"a": {"url": "https://h.test/sse?x=1"}}},
        {"a": HttpServer(type="sse", url="https://h.test/sse?x=1")},
    ),
    "streamable HTTP": (
        {
            "a": {"type": "streamable-http", "url": "https://h.test/mcp"},
            "b": {"transport": "streamable_http", "url": "https://h.test/mcp"},
            "c": {"type": "streamableHttp", "url": "https://h.test/mcp"},
        },
        dict.fromkeys("abc", HttpServer(url="https://h.test/mcp")),
    ),
    "other names of the address": (
        {
            "a": {"httpUrl": "https://h.test/mcp"},
            "b": {"serverUrl": "https://h.test/mcp"},
            "c": {"type": "remote", "url": "https://h.test/mcp"},
        },
        dict.fromkeys("abc", HttpServer(url="https://h.test/mcp")),
    ),
    "numbers in the environment": (
        {"mcpServers": {"a": {"command": "x", "args": ["-p", 80], "env": {"PORT": 80, "DEBUG": True}}}},
        {"a": StdioServer(command="x", args=("-p", "80"), env={"PORT": "80", "DEBUG": "true"})},
    ),
    "lists for what is none": (
        {"mcpServers": {"a": {**COMMAND, "env": []}, "b": {"url": ["https://h.test/mcp"], "headers": []}}},
        {"a": STDIO, "b": HttpServer(url="https://h.test/mcp")},
    ),
    "variables as an editor writes them": (
        {"mcpServers": {"a": {"command": "${workspaceFolder}/x", "env": {"K": "${env:K}"}}}},
        {"a": StdioServer(command="FOLDER/x", env={"K": "k"})},
    ),
    "names that no tool could have": (
        {"mcpServers": {"my server": COMMAND, "b.c": COMMAND, "d__e": COMMAND}},
        {"my_server": STDIO, "b_c": STDIO, "d_e": STDIO},
    ),
    "fields of other programs": (
        {"mcpServers": {"a": {**COMMAND, "autoApprove": ["z"], "alwaysAllow": [], "timeout": 60, "disabled": False}}},
        {"a": STDIO},
    ),
}  # fmt: skip


@pytest.mark.parametrize("said", SITUATIONS)
def test_files_as_they_are_in_the_world_are_read(tmp_path: Path, said: str) -> None:
    content, servers = SITUATIONS[said]
    found = read_file(tmp_path, content, K="k")
    assert (found.wrong, {name: _placed(one, tmp_path) for name, one in found.servers.items()}) == ({}, servers)


def _placed(server: StdioServer | HttpServer, folder: Path) -> StdioServer | HttpServer:
    if isinstance(server, HttpServer):
        return server
    return server.model_copy(update={"command": server.command.replace(str(folder), "FOLDER")})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": ""}, r"mcpServers\.a\.command"),
        ({}, r"mcpServers\.a\.command"),
        ([], r"mcpServers\.a: write an object"),
        (None, r"mcpServers\.a: write an object"),
        ({"command": "x", "args": "y"}, r"mcpServers\.a\.args"),
        ({"command": "x", "env": {"K": []}}, r"mcpServers\.a\.env\.K"),
        ({"command": "x", "args": ["${ABSENT}"]}, r"mcpServers\.a\.args\[0\]: the variable ABSENT is not set"),
        ({"command": "x", "env": {"K": "${input:token}"}}, r"mcpServers\.a\.env\.K: an editor asks a person"),
        ({"url": "docs.test"}, r"mcpServers\.a\.url"),
        ({"type": "ws", "url": "wss://docs.test"}, r"mcpServers\.a: .*'ws'"),
        ({"command": "x", "disabled": True}, r"mcpServers\.a: it is switched off"),
        ({"command": "x", "enabled": False}, r"mcpServers\.a: it is switched off"),
    ],
)
def test_a_wrong_server_costs_itself_alone_and_is_named(tmp_path: Path, entry: Any, said: str) -> None:
    found = read(tmp_path, {"a": entry, "b": COMMAND})
    assert found.servers == {"b": STDIO}
    assert re.search(said, found.wrong["a"])
    assert str(tmp_path / ".mcp.json") in found.wrong["a"]


def test_two_names_that_become_one_are_told(tmp_path: Path) -> None:
    found = read(tmp_path, {"a.b": COMMAND, "a b": COMMAND})
    assert found.servers == {"a_b": STDIO}
    assert "another server is called a_b as well" in found.wrong["a_b"]


@pytest.mark.parametrize("content", [[], {"mcpServers": []}, {"servers": "x"}, {"a": {"b": "c"}}, "text"])
def test_a_file_without_servers_is_named(tmp_path: Path, content: Any) -> None:
    with pytest.raises(McpConfigError, match=r"must be an object|is not JSON") as caught:
        read_file(tmp_path, content)
    assert str(tmp_path / ".mcp.json") in str(caught.value)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    found = read(tmp_path, {"a": {"type": "http", "url": "${KEY}", "headers": {"A": "${KEY}"}}}, KEY="s3cret")
    assert "mcpServers.a.url" in found.wrong["a"]
    assert "s3cret" not in found.wrong["a"]


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
    assert [our_name(name) for name in ("read", "list", "webfetch")] == ["read_file", "list_files", "fetch_url"]
    assert mcp_name("Read") is None
