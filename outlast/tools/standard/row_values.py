"""Values of database rows as JSON and back, without loss: a before-image must give back exactly what stood there."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from outlast.tools.tool import ToolError

_TO_TEXT: dict[str, tuple[type, Callable[[Any], str]]] = {
    "datetime": (datetime, datetime.isoformat),
    "date": (date, date.isoformat),
    "time": (time, time.isoformat),
    "decimal": (Decimal, str),
    "uuid": (UUID, str),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode()),
}
"""In this order: a datetime is a date, too."""
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
    "bytes": base64.b64decode,
}


def written(row: Mapping[str, Any]) -> str:
    """Write a row as JSON; raises ToolError for a value that could not be given back exactly."""
    return json.dumps({name: _written(name, value) for name, value in row.items()}, sort_keys=True)


def read(text: str) -> dict[str, Any]:
    """Read a row that `written` wrote."""
    return {name: _read(value) for name, value in json.loads(text).items()}


def given(column: "Column[Any]", value: Any) -> Any:
    """Turn a value of a model's arguments into what the column takes; raises ToolError that names the column."""
    try:
        kind = column.type.python_type
    except NotImplementedError:
        return value
    name = next((name for name, (type_, _) in _TO_TEXT.items() if kind is type_), None)
    if value is None or name is None or isinstance(value, bool):
        return value
    try:
        return _FROM_TEXT[name](str(value)) if isinstance(value, str | int | float) else value
    except (ValueError, InvalidOperation):
        raise ToolError(f"column {column.name}: {str(value)[:60]!r} is not a {name}") from None


def _written(name: str, value: Any) -> Any:
    if isinstance(value, memoryview | bytearray):
        value = bytes(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    for kind, (type_, write) in _TO_TEXT.items():
        if isinstance(value, type_):
            return {kind: write(value)}
    if isinstance(value, list | dict):
        try:
            return {"json": json.dumps(value)}
        except TypeError:
            pass
    raise ToolError(f"column {name} holds a {type(value).__name__}, which an undo could not give back")


def _read(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, text)] = value.items()
    return json.loads(text) if kind == "json" else _FROM_TEXT[kind](text)
