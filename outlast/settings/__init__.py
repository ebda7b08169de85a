"""All settings, read once from the environment (and `.env`): each field's variable is its name in capitals.

Workflows must never read them: what a workflow needs of them reaches it as data, through an activity, and is recorded.
A group of settings stands in a file of its own (`models.py` first, then `storage.py`, `people.py`, `chat.py`, `tools.py`,
`server.py`, `processes.py`); `Settings` holds them all.
"""

import os
import re
from typing import Any

from pydantic import SecretStr, ValidationError, ValidationInfo, field_validator

from outlast.processes.environment import clean_environment, clean_secret
from outlast.redaction import SECRETS, channel_secrets, credentials_of, environment_secrets
from outlast.settings.base import SettingsError
from outlast.settings.chat import ChatSettings
from outlast.settings.models import LOCAL_MODEL, MODELS, ModelSettings
from outlast.settings.people import PeopleSettings
from outlast.settings.processes import ProcessSettings
from outlast.settings.server import ServerSettings
from outlast.settings.tools import ToolSettings

__all__ = ["LOCAL_MODEL", "MODELS", "Settings", "SettingsError", "learn_secrets", "load_settings"]

LISTS_OF_SECRETS = ("payload_keys", "notify_urls", "trigger_secrets")
"""Settings that hold several secrets, which may stand on lines of their own."""


class Settings(ModelSettings, PeopleSettings, ChatSettings, ToolSettings, ServerSettings, ProcessSettings):
    """Everything the environment decides, read once. Each field's variable is its name in capitals."""

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

    def secrets(self) -> list[tuple[str, str]]:
        """Return what no error, log or page may show: pairs of a variable and a value, or a part of it."""
        found: list[tuple[str, str]] = []
        for field in type(self).model_fields:
            name, value = field.upper(), getattr(self, field)
            if field == "notify_urls" and value:
                found += channel_secrets(name, value.get_secret_value())
            elif field == "payload_keys" and value:
                found += [(name, each.partition(":")[2].strip()) for each in value.get_secret_value().split(",")]
            elif field == "trigger_secrets":
                found += [(name, each) for each in self.secrets_of_triggers().values()]
            elif field == "teams_webhook_url" and value:  # who has its long parts may post
                found += [(name, each) for each in re.findall(r"[\w-]{20,}", value.get_secret_value())]
            elif isinstance(value, SecretStr):
                text = value.get_secret_value()
                found += credentials_of(name, text) if "://" in text else [(name, text)]
            else:
                urls = value if isinstance(value, tuple) else (value,)
                found += [pair for url in urls if isinstance(url, str) for pair in credentials_of(name, url)]
        return found


def load_settings() -> Settings:
    """Read the settings, and learn what is secret; raises SettingsError that names each wrong variable."""
    problems = clean_environment(os.environ)
    try:
        settings = Settings()
    except ValidationError as error:
        for found in error.errors(include_input=False):
            name, *within = map(str, found["loc"])
            place = f"{'.'.join(within)}: " if within else ""
            said = found["msg"].removeprefix("Value error, ")
            if found["type"] == "too_short" and "SecretStr" in str(Settings.model_fields[name].annotation):
                said = (
                    f"is too short; write at least {found['ctx']['min_length']} characters"  # pydantic speaks of items
                )
            problems.append(f"{name.upper()}: {place}{said}")
        raise SettingsError("; ".join(problems)) from None  # what pydantic holds on to are the values themselves
    if problems:
        raise SettingsError("; ".join(problems))
    learn_secrets(settings)
    return settings


def learn_secrets(settings: Settings) -> None:
    """Let nothing that this process writes hold a secret of the settings or of the environment."""
    SECRETS.learn("settings", settings.secrets())
    SECRETS.learn("environment", environment_secrets(os.environ))
