"""The closet both doors share: settings read once, and the way to Temporal.

The trap: settings come from the environment, and workflows must never see them. Whatever a workflow needs of them reaches
it as data, through the catalog activity, and is recorded.
"""

import fcntl
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from activities.contracts import SEARCH_ATTRIBUTES
from activities.llm.base import ModelTable

if TYPE_CHECKING:  # the SDK takes a quarter of a second to import, and most of the porch does not need it
    from temporalio.client import Client, Plugin
    from temporalio.converter import DataConverter

PROJECT = Path(__file__).resolve().parent
LOCAL_MODEL = "smollm2-135m-instruct"
DEFAULT_ADDRESS = "localhost:7233"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the environment variable."""


class ServerUnavailableError(Exception):
    """No Temporal server answers; the message says at which address and how to start one."""


class Settings(BaseSettings):
    """Everything the environment decides, read once. Each field's variable is its name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    anthropic_api_key: SecretStr | None = None
    """Key of the Claude API; without it, and without a base URL, the local model answers."""
    anthropic_base_url: str | None = None
    """Any endpoint that speaks the Messages API."""
    task_queue: str = Field(default="agents", min_length=1)
    content_store_url: str = ""
    """Where texts are kept: `file:///dir`, `s3://bucket/prefix`, `gs://…`, `az://…`. Default: `<state_dir>/content`."""
    content_inline_bytes: int = Field(default=1024, ge=0, le=65536)
    payload_limit_bytes: int = Field(default=512 * 1024, ge=1024, le=2 * 1024 * 1024)
    """Largest single message in history; the server's own limit is 2 MB."""
    agents_dir: Path = PROJECT / "agents"
    models_file: Path = PROJECT / "models.toml"
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Overrides of aliases, as JSON: {"opus": "my-model"}."""
    state_dir: Path = Path(".agentic")
    workspace_dir: Path | None = None
    """The folder whose files agents with tools may read and write. Default: `<state_dir>/workspace`."""
    library_dir: Path = PROJECT / "samples" / "library"
    """The folder whose documents research searches where nothing else can be reached."""
    search_contact: str = ""
    """A mail address or page, told to the services that research asks."""
    arxiv_url: str = "https://export.arxiv.org/api/query"
    news_feeds: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses of RSS or Atom feeds, by comma."""
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
    smtp_url: SecretStr | None = None
    """The mail server that agents send through: `smtp://user:password@host:port`, or `smtps://`.

    `maildir:///folder` keeps them there instead of sending them.
    """
    mail_from: str = ""
    """The address that such mail comes from."""
    approver_secret: SecretStr | None = Field(default=None, min_length=32)
    """With it, decisions at gates must be signed; at least 32 characters, the same for all workers. It never enters history."""
    approver_token: SecretStr | None = None
    """Your own token, for the starter: made by `starter.py approver-token`."""
    approver: str = ""
    """Your name at gates, for the starter. Default: the user name of the operating system."""
    notify_urls: SecretStr | None = None
    """Where people are told of gates, as apprise writes it: `mailto://…`, `slack://…`; several by space or comma."""
    web_ui_url: str = ""
    """Address of Temporal's Web UI, for links in what people are told. Default: that of the running embedded stack."""
    inbox_url: str = ""
    """Address of the inbox, for the same."""
    mcp_config: Path | None = None
    """The file of MCP servers. Default: `.mcp.json`, where there is one."""
    max_document_bytes: int = Field(default=50 * 1024 * 1024, gt=0)
    retry_after_cap: float = Field(default=60.0, gt=0)
    """Longest wait, in seconds, that a model API may ask for before the fallback runs."""
    heartbeat_timeout: float = Field(default=2.5, ge=0.5)
    """Seconds without a beat after which a model call counts as lost."""
    model_read_timeout: float = Field(default=120.0, gt=0)
    """Longest silence, in seconds, within a stream."""
    shutdown_grace: float = Field(default=120.0, ge=0)
    """Seconds a stopping worker waits for running calls."""
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """Where traces and metrics go (OTLP); both are off without it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["", "json", "text"] = ""
    """How a worker writes its log: text on a terminal, JSON elsewhere."""

    @field_validator("model_aliases", mode="before")
    @classmethod
    def _read_aliases(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError('must be JSON such as {"opus": "my-model"}') from error

    @field_validator("news_feeds", "fetch_allow", "database_write_tables", "http_call_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("news_feeds")
    @classmethod
    def _are_web_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            cls._is_web_address(value)
        return values

    @field_validator("anthropic_base_url", "arxiv_url", "searxng_url", "web_ui_url", "inbox_url")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
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
        return not self.anthropic_api_key and not self.anthropic_base_url

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

    def model_table(self) -> ModelTable:
        """Read the model table with this environment's overrides; raises SettingsError naming MODELS_FILE."""
        try:
            table = ModelTable.model_validate(tomllib.loads(self.models_file.read_text()))
        except (OSError, ValueError) as error:
            raise SettingsError(f"MODELS_FILE={self.models_file} cannot be read: {error}") from error
        aliases = {**table.aliases, **self.model_aliases}
        return table.model_copy(update={"aliases": aliases, "only": LOCAL_MODEL if self.local else None})


def load_settings() -> Settings:
    """Read the settings; raises SettingsError that names each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{str(found['loc'][0]).upper()}: {found['msg']}" for found in error.errors()]
        raise SettingsError("; ".join(lines)) from error


def running_stack(settings: Settings) -> dict[str, Any] | None:
    """Return what the running embedded stack says of itself (`up.json`), or None when none runs in this directory."""
    described, lock = settings.state_dir / "up.json", settings.state_dir / "up.lock"
    if not described.exists() or not lock.exists():
        return None
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            state: dict[str, Any] = json.loads(described.read_text())
            return state
    return None


def web_ui_of(settings: Settings) -> str:
    """Return the address of the Web UI: as set, else that of the running embedded stack, else ""."""
    return settings.web_ui_url or str((running_stack(settings) or {}).get("ui") or "")


def data_converter(payload_limit: int) -> "DataConverter":
    """Build the converter for pydantic models that refuses any single message over the limit, in bytes."""
    from temporalio.contrib.pydantic import pydantic_data_converter

    from activities.payload_guard import guarded

    return replace(pydantic_data_converter, payload_converter_class=guarded(payload_limit))


def address_of(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Find the server: environment or profile first, then the embedded stack of this directory, then the default port."""
    from temporalio.envconfig import ClientConfig

    try:
        config: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    except (ValueError, RuntimeError) as error:
        raise SettingsError(f"TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE: {str(error)[:300]}") from error
    stack = running_stack(settings)
    address = config.pop("target_host", None) or (stack["address"] if stack else DEFAULT_ADDRESS)
    return address, config


async def connect(settings: Settings, plugins: "Sequence[Plugin]" = ()) -> "Client":
    """Connect to Temporal by profile (`TEMPORAL_*`, `TEMPORAL_PROFILE`), with our converter and, if configured, tracing.

    Raises ServerUnavailableError, and SettingsError for an address or a profile that cannot be used.
    """
    from temporalio.client import Client
    from temporalio.service import RPCError

    address, config = address_of(settings)
    try:
        return await Client.connect(
            address,
            **config,
            data_converter=data_converter(settings.payload_limit_bytes),
            plugins=[*plugins, *_tracing(settings)],
        )
    except ValueError as error:
        raise SettingsError(f"TEMPORAL_ADDRESS={address}: {error}; write host:port") from error
    except (RuntimeError, RPCError) as error:
        raise ServerUnavailableError(
            f"no Temporal server answers at {address} ({_reason(error)}). "
            "Start one with 'python starter.py up', or set TEMPORAL_ADDRESS."
        ) from error


async def missing_attributes(client: "Client") -> list[str] | None:
    """Name the search attributes of ours that the namespace lacks; None where the server does not tell.

    The trap: to set one that is not registered wedges a run for ever. So whoever uses them asks first.
    """
    from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
    from temporalio.service import RPCError

    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        answer = await client.operator_service.list_search_attributes(asked, timeout=timedelta(seconds=10))
    except RPCError:
        return None
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


def _reason(error: Exception) -> str:
    # The SDK's core wraps the operating system's words in a dump of its own structures.
    said = re.search(r'message: "([^"]+)"', str(error))
    return said[1].lower() if said else str(error)[:200]


def _tracing(settings: Settings) -> "list[Plugin]":
    if not settings.otel_exporter_otlp_endpoint:
        return []
    from telemetry import tracing

    return tracing(settings.otel_exporter_otlp_endpoint)
