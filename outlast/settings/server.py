"""Settings of the HTTP API, and of the webhooks that runs send."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from outlast.command_line import command
from outlast.file_names import own_file
from outlast.settings.base import SettingsGroup, address_of

TOKEN = re.compile(r"[^:,\s][^:,]{0,62}:(start|read|decide)(\+(start|read|decide))*:[0-9a-f]{64}")

LEAST_SECRET = 16
"""Shortest secret of a trigger, in characters."""


class ServerSettings(SettingsGroup):
    """Who may use the HTTP API, and where runs report."""

    serve_tokens: Annotated[tuple[str, ...], NoDecode] = ()
    """Who may use the HTTP API, by comma: `NAME:SCOPES:SHA256`, as `outlast serve-token` prints it. None: this machine alone."""
    serve_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Web pages of other sites that may use it (CORS), by comma: `https://app.example.org`."""
    serve_rate: int = Field(default=600, ge=1, le=1_000_000)
    """Requests a minute of each caller; more are answered with 429."""
    triggers_file: Path = Field(default_factory=lambda: own_file("triggers.toml"))
    """What `POST /triggers/NAME` starts. Default: `triggers.toml`, in the working folder or beside the program, if any."""
    trigger_secrets: SecretStr | None = None
    """What senders sign these requests with, by comma: `NAME:SECRET` for each trigger, 16 characters or more."""
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
                made = command("serve-token", "NAME")
                raise ValueError(f"token {number} must be NAME:SCOPES:SHA256, as '{made}' prints it")
        return values

    @field_validator("trigger_secrets")
    @classmethod
    def _are_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        for number, (name, secret) in enumerate(_named(value), 1):
            if not name or len(secret) < LEAST_SECRET:
                raise ValueError(
                    f"secret {number} must be NAME:SECRET, SECRET having {LEAST_SECRET} characters or more"
                )
        return value

    def secrets_of_triggers(self) -> dict[str, str]:
        """Return the secret of each trigger."""
        return dict(_named(self.trigger_secrets))

    @field_validator("webhook_urls")
    @classmethod
    def _are_addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for number, value in enumerate(values, 1):
            try:
                address_of(value)
            except ValueError as error:
                raise ValueError(f"address {number} {error}") from None
        return values

    @field_validator("serve_origins")
    @classmethod
    def _are_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        found = [address_of(value.rstrip("/").lower()) for value in values]
        for each in found:
            if each.path or each.query:
                raise ValueError(f"{each.geturl()!r} has a path; a browser says only such as https://app.example.org")
        return tuple(each.geturl() for each in found)


def _named(secrets: SecretStr | None) -> list[tuple[str, str]]:
    entries = secrets.get_secret_value().split(",") if secrets else ()
    pairs = [entry.partition(":") for entry in entries if entry.strip()]
    return [(name.strip(), secret.strip()) for name, _, secret in pairs]
