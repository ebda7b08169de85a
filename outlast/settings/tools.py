"""Settings of tools: what agents may search, read, fetch, call and change."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from outlast.settings.base import web_address
from outlast.settings.storage import StorageSettings


class ToolSettings(StorageSettings):
    """What agents may search, read, fetch, call and change."""

    workspace_dir: Path | None = None
    """The folder whose files agents with tools may read and write. Default: `<state_dir>/workspace`."""
    library_dir: Path | None = None
    """The folder whose documents research searches where nothing else can be reached. Default: the application's own samples."""
    search_contact: str = ""
    """A mail address or page, sent to the services that research asks."""
    arxiv_url: str = "https://export.arxiv.org/api/query"
    news_feeds: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of RSS or Atom feeds, by comma."""
    news_search_url: str = "https://www.bing.com/news/search?format=rss&q={query}"
    """A news search that answers with a feed, with `{query}` in its address; `off` for none."""
    web_search: Annotated[tuple[str, ...], NoDecode] = ("auto",)
    """Public engines that are asked where neither of the next two is set: `auto`, names by comma, or `off`."""
    research_pages: int = Field(default=3, ge=0, le=20)
    """How many of the pages that a search found are read."""
    searxng_url: str = ""
    brave_api_key: SecretStr | None = None
    fetch_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts whose pages agents may fetch, by comma: `example.org`, `*.example.org`, `*` for all."""
    fetch_private: bool = False
    """Whether they may be loopback and private addresses."""
    database_url: SecretStr | None = None
    """The database that agents may question, read-only (a SQLAlchemy URL)."""
    database_write_tables: Annotated[tuple[str, ...], NoDecode] = ()
    """Tables of it whose rows agents may change, by comma."""
    http_call_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts of the services that agents may call to change something, as in `fetch_allow`."""
    http_call_private: bool = False
    http_call_undo: str = ""
    """Which of those calls can be undone, and by which: `PUT https://host/path/{id} => DELETE https://host/path/{id}`, by `;`."""
    smtp_url: SecretStr | None = None
    """The mail server that agents send through: `smtp://user:password@host:port`, or `smtps://`.

    `maildir:///folder` keeps them there instead of sending them.
    """
    mail_from: str = ""
    """The address that such mail comes from."""
    mcp_config: Path | None = None
    """The file of MCP servers. Default: `.mcp.json`, where there is one."""
    max_document_bytes: int = Field(default=50 * 1024 * 1024, gt=0)
    tool_wait: float = Field(default=60.0, ge=0, le=10800)
    """Longest time, in seconds, that a tool waits for what it is to change."""

    @field_validator(
        "news_feeds", "web_search", "fetch_allow", "database_write_tables", "http_call_allow", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("news_feeds")
    @classmethod
    def _are_web_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            web_address(value)
        return values

    @field_validator("news_search_url")
    @classmethod
    def _takes_a_query(cls, value: str) -> str:
        if value != "off":
            web_address(value)
            if "{query}" not in value:
                raise ValueError("must hold {query}, where the question goes, or be off")
        return value

    @field_validator("arxiv_url", "searxng_url")
    @classmethod
    def _is_search_address(cls, value: str | None) -> str | None:
        return web_address(value)

    @property
    def workspace(self) -> Path:
        """The agents' workspace, default resolved."""
        return (self.workspace_dir or self.state_dir / "workspace").resolve()

    @property
    def mcp_servers_file(self) -> Path | None:
        """The file of MCP servers, default resolved; None where there is none."""
        usual = Path(".mcp.json")
        return self.mcp_config or (usual if usual.is_file() else None)
