"""All settings, read once from the environment (and `.env`): each field's variable is its name in capitals.

Workflows must never read them: what a workflow needs of them reaches it as data, through an activity, and is recorded.
"""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from outlast.environment import clean_environment, clean_secret
from outlast.extras import require
from outlast.file_names import own_file
from outlast.llm.base import ModelTable
from outlast.redaction import SECRETS, channel_secrets, credentials_of, environment_secrets

LOCAL_MODEL = "smollm2-135m-instruct"
LISTS_OF_SECRETS = ("payload_keys", "notify_urls")
"""Settings that hold several secrets, which may stand on lines of their own."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the environment variable."""


MODELS = Path(__file__).parent / "llm" / "models.toml"
"""The model table that the library brings."""


def _models_file() -> Path:
    own = own_file("models.toml")
    return own if own.is_file() else MODELS


class Settings(BaseSettings):
    """Everything the environment decides, read once. Each field's variable is its name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    anthropic_api_key: SecretStr | None = None
    """Key of the Claude API; without it, a token and a base URL, the local model answers."""
    anthropic_auth_token: SecretStr | None = None
    """A token sent as `Authorization: Bearer`, for gateways; beside it, the key is sent as `X-Api-Key`."""
    anthropic_base_url: str | None = None
    """Any endpoint that speaks the Messages API, with or without `/v1`."""
    task_queue: str = Field(default="agents", min_length=1)
    content_store_url: str = ""
    """Where texts are kept: `file:///dir`, `s3://bucket/prefix`, `gs://…`, `az://…`. Default: `<state_dir>/content`."""
    content_inline_bytes: int = Field(default=1024, ge=0, le=65536)
    content_cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    """Most bytes of texts that a worker keeps in memory, so that none of them is read again; 0 keeps none."""
    payload_limit_bytes: int = Field(default=512 * 1024, ge=1024, le=2 * 1024 * 1024)
    """Largest single message in history; the server's own limit is 2 MB."""
    payload_keys: SecretStr | None = None
    """Keys that messages in history are encrypted with, `name:base64` by comma, the newest first (`outlast payload-key`)."""
    agents_dir: Path = Field(default_factory=lambda: own_file("agents"))
    """The project's agents, laid over the library's own. Default: `agents`, in the working folder or beside the program."""
    models_file: Path = Field(default_factory=_models_file)
    """Models and what they cost. Default: `models.toml`, in the working folder or beside the program, else the library's own."""
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Overrides of aliases, as JSON: {"opus": "my-model"}."""
    state_dir: Path = Path(".agentic")
    up_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the server that `outlast up` runs. Default: 7233 where it is free, else any; 0 is any."""
    up_ui_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of its Web UI. Default: 8233 where it is free, else any; 0 is any."""
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
    approver_secret: SecretStr | None = Field(default=None, min_length=32)
    """With it, decisions at gates must be signed; at least 32 characters, the same for all workers. It never enters history."""
    approver_token: SecretStr | None = None
    """Your own token, for the command line: made by `outlast approver-token`."""
    approver: str = ""
    """Your name at gates, for the starter. Default: the user name of the operating system."""
    notify_urls: SecretStr | None = None
    """Where notices of gates go, as apprise writes it: `mailto://…`, `slack://…`; several by space or comma."""
    web_ui_url: str = ""
    """Address of Temporal's Web UI, for links in notices. Default: that of the running embedded stack."""
    inbox_url: str = ""
    """Address of the inbox, for the same."""
    mcp_config: Path | None = None
    """The file of MCP servers. Default: `.mcp.json`, where there is one."""
    max_document_bytes: int = Field(default=50 * 1024 * 1024, gt=0)
    retry_after_cap: float = Field(default=60.0, gt=0)
    """Longest wait, in seconds, that a model API may ask for before the fallback runs."""
    store_wait: float = Field(default=3600.0, ge=0, le=10800)
    """Longest time, in seconds, that work waits for a content store that is away, before it fails."""
    provider_wait: float = Field(default=900.0, ge=0, le=10800)
    """The same for a model's provider that is overloaded, unreachable or limits the rate."""
    fallback_after: float = Field(default=60.0, ge=0)
    """Seconds after which an agent's fallback is asked instead, where the provider is away (a rate limit is waited out)."""
    tool_wait: float = Field(default=60.0, ge=0, le=10800)
    """Longest time, in seconds, that a tool waits for what it is to change."""
    heartbeat_timeout: float = Field(default=15.0, ge=0.5)
    """Seconds without a heartbeat after which an activity counts as lost with its machine."""
    model_read_timeout: float = Field(default=120.0, gt=0)
    """Longest silence, in seconds, within a stream."""
    shutdown_grace: float = Field(default=120.0, ge=0)
    """Seconds a stopping worker waits for running calls."""
    workflow_sandbox: Literal["on", "off"] = "on"
    """Whether a worker runs workflow code in Temporal's sandbox, which refuses most of what is not deterministic."""
    query_wait: float = Field(default=2.0, gt=0)
    worker_wait: float = Field(default=10.0, ge=0)
    """Seconds that commands wait: for an answer before they show what history says, and for a worker that just starts."""
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """Where traces and metrics go (OTLP); both are off without it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["", "json", "text"] = ""
    """How a worker writes its log: text on a terminal, JSON elsewhere."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_clean_secret(cls, value: Any, about: ValidationInfo) -> Any:
        name = about.field_name or ""
        if "SecretStr" not in str(cls.model_fields[name].annotation) or value is None:
            return value
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str):
            return value
        if name in LISTS_OF_SECRETS:
            text = " ".join(text.split())
        text = clean_secret(text, header=name.endswith(("_key", "_token")))
        if not text and cls.model_fields[name].metadata:  # blank, but meant to be of some length: not the same as unset
            raise ValueError("is blank")
        return text or None

    @field_validator("model_aliases", mode="before")
    @classmethod
    def _read_aliases(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError('must be JSON such as {"opus": "my-model"}') from error

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
            cls._is_web_address(value)
        return values

    @field_validator("news_search_url")
    @classmethod
    def _takes_a_query(cls, value: str) -> str:
        if value != "off":
            cls._is_web_address(value)
            if "{query}" not in value:
                raise ValueError("must hold {query}, where the question goes, or be off")
        return value

    @field_validator("anthropic_base_url", "arxiv_url", "searxng_url", "web_ui_url", "inbox_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value

    @field_validator("payload_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        from outlast.storage.payload_codec import read_keys

        require("encryption", "the encryption of messages")
        read_keys(value.get_secret_value())
        return value

    @field_validator("content_store_url")
    @classmethod
    def _is_store_address(cls, value: str) -> str:
        if value and not re.match(r"(file:///|(?!file:)[a-z][a-z0-9+.-]*://)", value):
            raise ValueError("must be a URL such as s3://bucket/prefix or file:///directory (three slashes)")
        return value

    @property
    def local(self) -> bool:
        """Whether the embedded local model answers, because nothing else is configured."""
        return not (self.anthropic_api_key or self.anthropic_auth_token or self.anthropic_base_url)

    @property
    def store_url(self) -> str:
        """The content store's URL, defaults resolved."""
        return self.content_store_url or (self.state_dir.resolve() / "content").as_uri()

    @property
    def workspace(self) -> Path:
        """The agents' workspace, default resolved."""
        return (self.workspace_dir or self.state_dir / "workspace").resolve()

    @property
    def mcp_servers_file(self) -> Path | None:
        """The file of MCP servers, default resolved; None where there is none."""
        usual = Path(".mcp.json")
        return self.mcp_config or (usual if usual.is_file() else None)

    def secrets(self) -> list[tuple[str, str]]:
        """Return what no error, log or page may show: pairs of a variable and a value, or a part of it."""
        found: list[tuple[str, str]] = []
        for field in type(self).model_fields:
            name, value = field.upper(), getattr(self, field)
            if field == "notify_urls" and value:
                found += channel_secrets(name, value.get_secret_value())
            elif field == "payload_keys" and value:
                found += [(name, each.partition(":")[2].strip()) for each in value.get_secret_value().split(",")]
            elif isinstance(value, SecretStr):
                text = value.get_secret_value()
                found += credentials_of(name, text) if "://" in text else [(name, text)]
            else:
                urls = value if isinstance(value, tuple) else (value,)
                found += [pair for url in urls if isinstance(url, str) for pair in credentials_of(name, url)]
        return found

    def model_table(self) -> ModelTable:
        """Read the model table with this environment's overrides; raises SettingsError naming MODELS_FILE."""
        try:
            table = ModelTable.model_validate(tomllib.loads(self.models_file.read_text()))
        except (OSError, ValueError) as error:
            raise SettingsError(f"MODELS_FILE={self.models_file} cannot be read: {error}") from error
        aliases = {**table.aliases, **self.model_aliases}
        return table.model_copy(update={"aliases": aliases, "only": LOCAL_MODEL if self.local else None})


def load_settings() -> Settings:
    """Read the settings, and learn what is secret; raises SettingsError that names each wrong variable."""
    problems = clean_environment(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        for found in error.errors(include_input=False):
            problems.append(f"{str(found['loc'][0]).upper()}: {found['msg'].removeprefix('Value error, ')}")
        raise SettingsError("; ".join(problems)) from None  # what pydantic holds on to are the values themselves
    if problems:
        raise SettingsError("; ".join(problems))
    learn_secrets(settings)
    return settings


def learn_secrets(settings: Settings) -> None:
    """Let nothing that this process writes hold a secret of the settings or of the environment."""
    SECRETS.learn("settings", settings.secrets())
    SECRETS.learn("environment", environment_secrets(os.environ))
