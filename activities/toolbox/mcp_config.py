"""Reads `.mcp.json`, the usual file of MCP servers: `{"mcpServers": {"name": {…}}}`, with `${VAR}` and `${VAR:-default}`.

The trap: such files hold secrets by way of variables. An error names the file, the field and the variable, never a value.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_NAME = re.compile(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*")
_EXPANDED = ("command", "args", "env", "url", "headers", "cwd")


class McpConfigError(ValueError):
    """The file of MCP servers is wrong; the message names file and field."""


class _Server(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StdioServer(_Server):
    """A server that is a process of ours; `env` is all it gets beside PATH, HOME and the like."""

    type: Literal["stdio"] = "stdio"
    command: str = Field(min_length=1)
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None


class HttpServer(_Server):
    """A server that is reached over streamable HTTP."""

    type: Literal["http", "streamable-http"] = "http"
    url: str = Field(pattern=r"^https?://\S+$")
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        clean = {name: value.strip() for name, value in headers.items()}
        for name, value in clean.items():
            if not value.isascii() or any(ord(character) < 32 or ord(character) == 127 for character in value):
                raise ValueError(f"{name} holds a line break or another character that a header cannot; paste it again")
        return clean


def _kind(value: Any) -> str:
    kind = value.get("type", "http" if "url" in value else "stdio") if isinstance(value, dict) else "stdio"
    return "http" if kind == "streamable-http" else str(kind)


McpServer = Annotated[Annotated[StdioServer, Tag("stdio")] | Annotated[HttpServer, Tag("http")], Discriminator(_kind)]
_SERVER: TypeAdapter[StdioServer | HttpServer] = TypeAdapter(McpServer)


def read_config(path: Path, environment: Mapping[str, str]) -> dict[str, StdioServer | HttpServer]:
    """Read the servers of a file, variables filled in; raises McpConfigError that names file and field."""
    try:
        data = from_json(path.read_bytes())
    except OSError as error:
        raise McpConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise McpConfigError(f"{path} is not JSON: {error}") from None
    servers = data.get("mcpServers") if isinstance(data, dict) else None
    if not isinstance(servers, dict):
        raise McpConfigError(f'{path}: mcpServers must be an object such as {{"name": {{"command": "…"}}}}')
    return {name: _server(f"{path}: mcpServers.{name}", name, entry, environment) for name, entry in servers.items()}


def _server(where: str, name: str, entry: Any, environment: Mapping[str, str]) -> StdioServer | HttpServer:
    if not _NAME.fullmatch(name):
        raise McpConfigError(f"{where}: a server's name has letters, digits, - and single _ between them")
    if isinstance(entry, dict):
        entry = {
            key: _expanded(f"{where}.{key}", value, environment) if key in _EXPANDED else value
            for key, value in entry.items()
        }
    try:
        return _SERVER.validate_python(entry)
    except ValidationError as error:
        # Not pydantic's own text: that shows the value.
        found = [(".".join(map(str, one["loc"][1:])), one["msg"]) for one in error.errors(include_input=False)]
        listed = "; ".join(f"{field}: {said}" if field else said for field, said in found)
        raise McpConfigError(f"{where}: {listed}" if not found[0][0] else f"{where}.{listed}") from None


def _expanded(where: str, value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_expanded(f"{where}[{at}]", each, environment) for at, each in enumerate(value)]
    if isinstance(value, dict):
        return {key: _expanded(f"{where}.{key}", each, environment) for key, each in value.items()}
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        filled = environment.get(match[1], match[2])
        if filled is None:
            raise McpConfigError(
                f"{where}: the variable {match[1]} is not set; set it, or write ${{{match[1]}:-default}}"
            )
        return filled

    return _VARIABLE.sub(fill, value)
