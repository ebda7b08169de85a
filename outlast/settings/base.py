"""What all groups of settings share: where they are read from, and the error that names a wrong one."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the environment variable."""


class SettingsGroup(BaseSettings):
    """One group of the settings. Each field's variable is its name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
        defer_build=True,  # of the groups; whoever reads settings builds the one class that holds them all
    )


def web_address(value: str | None) -> str | None:
    """Return an address as it is; raises ValueError if it is not one of the web."""
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value
