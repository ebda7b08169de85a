"""What programs read: JSON on stdout, complete and with nothing else around it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel


def print_json(data: Any) -> None:
    """Print JSON data; dates and the like become strings."""
    print(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def plain(value: Any) -> Any:
    """Turn a contract into JSON data with all its fields, also those that histories leave out as defaults."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
