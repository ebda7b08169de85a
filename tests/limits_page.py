"""Writes the values of docs/limits.md anew, each from the constant or the setting that its row names.

python -m tests.limits_page
"""

import importlib
import re
from typing import Any

from pydantic import BaseModel

from outlast.client import Settings
from tests.real_process import PROJECT

PAGE = PROJECT / "docs" / "limits.md"
ROW = re.compile(
    r"^\| (?P<what>[^|]+) \| (?P<value>[\d.]+)(?P<unit>(?: \w+)?) \| (?P<where>[A-Z_]+|[a-z_.]+:[\w.]+) \| (?P<end>[^|]+) \|$",
    re.MULTILINE,
)


def value_of(where: str) -> float:
    """Return the value of a setting, a constant, or the default of a model's field."""
    if ":" not in where:
        return float(Settings.model_fields[where.lower()].default)
    module, _, name = where.partition(":")
    owner, _, field = name.partition(".")
    found: Any = getattr(importlib.import_module(module), owner)
    if field:
        assert issubclass(found, BaseModel)
        found = found.model_fields[field].default
    return float(found)


def written(text: str) -> str:
    """Return the page with the values that the code has."""

    def row(found: re.Match[str]) -> str:
        value = f"{value_of(found['where']):f}".rstrip("0").rstrip(".")
        return f"| {found['what']} | {value}{found['unit']} | {found['where']} | {found['end']} |"

    return ROW.sub(row, text)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
