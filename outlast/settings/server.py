"""Settings of the HTTP API, and of the webhooks that runs send."""

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from outlast.settings.base import SettingsGroup, web_address

TOKEN = re.compile(r"[^:,\s][^:,]{0,62}:(start|read|decide)(\+(start|read|decide))*:[0-9a-f]{64}")


class ServerSettings(SettingsGroup):
    """Who may use the HTTP API, and where runs report."""

    serve_tokens: Annotated[tuple[str, ...], NoDecode] = ()
    """Who may use the HTTP API, by comma: `NAME:SCOPES:SHA256`, as `outlast serve-token` prints it. None: this machine alone."""
    serve_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Web pages of other sites that may use it (CORS), by comma: `https://app.example.org`."""
    serve_rate: int = Field(default=600, ge=1, le=1_000_000)
    """Requests a minute of each caller; more are answered with 429."""
    webhook_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses that every run reports to when a gate opens and when it ends, by comma."""
    webhook_secret: SecretStr | None = Field(default=None, min_length=32)
    """What webhooks are signed with; at least 32 characters, the same for all workers."""
    webhook_private: bool = False
    """Whether webhooks may go to loopback and private addresses."""

    @field_validator("serve_tokens", "serve_origins", "webhook_urls", mode="before")
    @classmethod
    def _split_by_comma(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("serve_tokens")
    @classmethod
    def _are_tokens(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for number, value in enumerate(values, 1):
            if not TOKEN.fullmatch(value):
                raise ValueError(f"token {number} must be NAME:SCOPES:SHA256, as 'outlast serve-token NAME' prints it")
        return values

    @field_validator("serve_origins", "webhook_urls")
    @classmethod
    def _are_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(web_address(value) or "" for value in values)
