"""What all groups of settings share: where they are read from, and the error that names a wrong one."""

import re

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


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(value: object) -> object:
    """Read a time such as `90`, `90s`, `30m`, `24h` or `3d` as seconds; raises ValueError for another text.

    Example:
        >>> seconds_of("1.5h")
        5400.0
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    if not found:
        raise ValueError(f"{value!r} is no time; write seconds, or such as 90s, 30m, 24h, 3d")
    return float(found[1]) * _UNITS[found[2] or "s"]
