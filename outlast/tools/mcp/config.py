"""Reads the files of MCP servers that are usual: `.mcp.json` and its relatives, with `${VAR}` and `${VAR:-default}`.

What is wrong with one server is kept with its name: it counts for the agents that name it, and for nobody else. Such files hold
secrets by way of variables, so messages name the file, the field and the variable, never a value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic_core import from_json

from outlast.file_names import readable

_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_ASKED = re.compile(r"\$\{input:[^}]*\}")
_FOLDER = "${workspaceFolder}"
_EXPANDED = ("command", "args", "env", "url", "headers", "cwd")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_BESIDE = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')

ALIASES = {"serverUrl": "url", "httpUrl": "url", "environment": "env", "transport": "type", "transportType": "type"}
"""Other programs' names of our fields."""

_FIELDS = {"command", "url", "type", *ALIASES}

KINDS = {
    "local": "stdio",
    "remote": "http",
    "streamable-http": "http",
    "streamablehttp": "http",
    "streamable_http": "http",
}
"""Other names of the ways to speak to a server."""


class McpConfigError(ValueError):
    """The file of MCP servers is wrong as a whole, or one server is; the message names file and field."""


class _Server(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _as_text(value: Any) -> Any:
    """Write numbers and the like as JSON writes them: a port is a number to most people."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class StdioServer(_Server):
    """A server that is a process of ours; `env` is all it gets beside PATH, HOME and the like."""

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1)
    args: tuple[Text, ...] = ()
    env: dict[str, Text] = Field(default_factory=dict)
    cwd: str | None = None


class HttpServer(_Server):
    """A server that is reached over streamable HTTP, or over HTTP with server-sent events (`sse`), which is older."""

    type: Literal["http", "sse"] = "http"
    url: str = Field(pattern=r"^https?://\S+$")
    headers: dict[str, Text] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        clean = {name: value.strip() for name, value in headers.items()}
        for name, value in clean.items():
            if not value.isascii() or any(ord(character) < 32 or ord(character) == 127 for character in value):
                raise ValueError(f"{name} holds a line break or another character that a header cannot; paste it again")
        return clean


@dataclass(frozen=True)
class McpConfig:
    """The servers of a file by the name that agents use, and why the others cannot be used."""

    servers: Mapping[str, StdioServer | HttpServer] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)


def _kind(value: Any) -> str:
    return value["type"] if isinstance(value, dict) and isinstance(value.get("type"), str) else "stdio"


McpServer = Annotated[
    Annotated[StdioServer, Tag("stdio")] | Annotated[HttpServer, Tag("http")] | Annotated[HttpServer, Tag("sse")],
    Discriminator(_kind),
]
_SERVER: TypeAdapter[StdioServer | HttpServer] = TypeAdapter(McpServer)


def server_name(name: str) -> str:
    """Write a server's name as names of tools can hold it: letters, digits, `-` and single `_`."""
    return re.sub("_{2,}", "_", _FOREIGN.sub("_", name)).strip("_")


def read_config(path: Path, environment: Mapping[str, str]) -> McpConfig:
    """Read the servers of a file, variables filled in; raises McpConfigError where the file itself cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise McpConfigError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise McpConfigError(f"{path} is not UTF-8 ({error.reason} at byte {error.start})") from None
    key, entries = _entries(path, _json(path, text))
    servers: dict[str, StdioServer | HttpServer] = {}
    wrong: dict[str, str] = {}
    for given, entry in entries.items():
        name, where = server_name(given), readable(f"{path}: {key}{given}")
        try:
            if not name:
                raise McpConfigError(f"{where}: a server's name needs a letter or a digit")
            if name in servers or name in wrong:
                raise McpConfigError(f"{where}: another server is called {name} as well; rename one of them")
            servers[name] = _server(where, entry, environment, path.parent)
        except McpConfigError as error:
            wrong.setdefault(name or given, str(error))
    return McpConfig(servers, wrong)


def _json(path: Path, text: str) -> Any:
    """Read JSON, and where it is none, JSON with comments and trailing commas, as editors write it."""
    try:
        return from_json(text)
    except ValueError as error:
        bare = _TRAILING.sub(lambda found: found[1] or "", _BESIDE.sub(lambda found: found[1] or "", text))
        try:
            return from_json(bare)
        except ValueError:
            raise McpConfigError(f"{path} is not JSON: {error}") from None


def _entries(path: Path, data: Any) -> tuple[str, dict[str, Any]]:
    """Find the servers: under `mcpServers` or `servers`, at the top, or under `mcp`; gives also how to name the place."""
    if isinstance(data, dict):
        for key in ("mcpServers", "servers"):
            if key in data:
                return _named(path, f"{key}.", data[key])
        flat = {name: entry for name, entry in data.items() if not isinstance(entry, str)}
        if all(isinstance(entry, dict) and _FIELDS & {*entry} for entry in flat.values()):
            return "", flat
        if isinstance(data.get("mcp"), dict):
            return _named(path, "mcp.", data["mcp"].get("servers", data["mcp"]))
    raise McpConfigError(f'{path}: mcpServers must be an object such as {{"name": {{"command": "…"}}}}')


def _named(path: Path, key: str, found: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(found, dict):
        raise McpConfigError(f'{path}: {key[:-1]} must be an object such as {{"name": {{"command": "…"}}}}')
    return key, found


def _server(where: str, entry: Any, environment: Mapping[str, str], folder: Path) -> StdioServer | HttpServer:
    if not isinstance(entry, dict):
        raise McpConfigError(f'{where}: write an object such as {{"command": "…"}} or {{"type": "http", "url": "…"}}')
    if entry.get("disabled") is True or entry.get("enabled") is False:
        raise McpConfigError(f"{where}: it is switched off there")
    entry = {
        key: _expanded(f"{where}.{key}", value, environment, folder) if key in _EXPANDED else value
        for key, value in _usual(entry).items()
    }
    try:
        return _SERVER.validate_python(entry)
    except ValidationError as error:
        # Not pydantic's own text: that shows the value.
        found = [(".".join(map(str, one["loc"][1:])), one["msg"]) for one in error.errors(include_input=False)]
        listed = "; ".join(f"{field}: {text}" if field else text for field, text in found)
        raise McpConfigError(f"{where}: {listed}" if not found[0][0] else f"{where}.{listed}") from None


def _usual(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Write an entry as `.mcp.json` has it: fields renamed, a command in one list taken apart, `type` filled in."""
    made = {ALIASES.get(key, key): value for key, value in entry.items() if value is not None}
    made |= {key: {} for key in ("env", "headers") if made.get(key) == []}
    if isinstance(made.get("url"), list) and len(made["url"]) == 1:
        made["url"] = made["url"][0]
    command = made.get("command")
    if isinstance(command, list) and command:
        made["command"], made["args"] = command[0], [*command[1:], *made.get("args", ())]
    kind = made.get("type")
    if not isinstance(kind, str):
        sse = str(made.get("url", "")).partition("?")[0].rstrip("/").endswith("/sse")
        kind = "stdio" if "url" not in made else "sse" if sse else "http"
    return {**made, "type": KINDS.get(kind.casefold(), kind.casefold())}


def _expanded(where: str, value: Any, environment: Mapping[str, str], folder: Path) -> Any:
    if isinstance(value, list):
        return [_expanded(f"{where}[{at}]", each, environment, folder) for at, each in enumerate(value)]
    if isinstance(value, dict):
        return {key: _expanded(f"{where}.{key}", each, environment, folder) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    if _ASKED.search(value):
        raise McpConfigError(f"{where}: an editor asks a person for this value; write ${{VARIABLE}} and set it")

    def fill(match: re.Match[str]) -> str:
        filled = environment.get(match[1], match[2])
        if filled is None:
            raise McpConfigError(
                f"{where}: the variable {match[1]} is not set; set it, or write ${{{match[1]}:-default}}"
            )
        return filled

    return _VARIABLE.sub(fill, value.replace(_FOLDER, str(folder)))
