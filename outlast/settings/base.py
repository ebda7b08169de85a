"""What all groups of settings share: where they are read from, and the error that names a wrong one."""

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

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

    def file_of(self, field: str) -> Path | None:
        """Return the file that a setting names, None where nothing is set and the usual file is not there.

        Raises SettingsError where it names none: without its rules a deployment is another one, and nobody would notice.
        """
        path: Path = getattr(self, field)
        if path.is_file():
            return path
        if field in self.model_fields_set or path.exists():
            raise SettingsError(f"{field.upper()}={path}: there is no such file")
        return None


def web_address(value: str | None) -> str | None:
    """Return an address as it is; raises ValueError if it is not one of the web."""
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value


def address_of(value: str) -> SplitResult:
    """Read the address of a service; raises ValueError for one that nobody could ever reach. The message holds nothing of it."""
    found = urlsplit(web_address(value) or "")
    if not found.hostname or not value.isprintable() or " " in value:
        raise ValueError("must be an address such as https://hooks.example.org/path")
    if found.username is not None or found.password is not None:
        raise ValueError("must not hold a name or password; receivers know what is ours by its signature")
    if found.port == 0:  # reading the port raises ValueError for one that is none
        raise ValueError("has port 0")
    return found


def names_of(value: object) -> object:
    """Read names by comma; raises ValueError for a text that names nobody, because no names at all mean anybody."""
    if not isinstance(value, str):
        return value
    names = tuple(each.strip() for each in value.split(",") if each.strip())
    if value and not names:
        raise ValueError(f"{value!r} names nobody; leave it out for anybody")
    return names


YEAR = 31_536_000.0
"""Longest time that people or runs may have, in seconds."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(value: object) -> object:
    """Read a time such as `90`, `90s`, `30m`, `24h` or `3d` as seconds; raises ValueError for what is none.

    Example:
        >>> seconds_of("1.5h")
        5400.0
    """
    if isinstance(value, bool):
        raise ValueError(f"{value} is no time; write seconds, or such as 90s, 30m, 24h, 3d")
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    if not found:
        raise ValueError(f"{value!r} is no time; write seconds, or such as 90s, 30m, 24h, 3d")
    return float(found[1]) * _UNITS[found[2] or "s"]


def deadline_of(value: object) -> object:
    """Read a time of at most a year as `seconds_of` does; raises ValueError for a longer one, too."""
    seconds = seconds_of(value)
    if isinstance(seconds, int | float) and seconds > YEAR:
        raise ValueError(f"{value} is too long; write at most 365d")
    return seconds
