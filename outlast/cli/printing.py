"""What programs read: JSON on stdout, complete and with nothing else around it."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from outlast.display import escaped_json
from outlast.redaction import SECRETS, PresentableStream, presentable

if TYPE_CHECKING:
    from jinja2 import Environment


def print_json(data: Any) -> None:
    """Print JSON data; dates and the like become strings, and what could steer a terminal is escaped."""
    print(written_json(data, indent=2))


def written_json(data: Any, *, indent: int | None = None) -> str:
    """Return data as JSON without secrets; it means the same, but holds no character that could steer a terminal."""
    written = json.dumps(data, indent=indent, ensure_ascii=False, default=str)
    if SECRETS(written) != written:
        written = json.dumps(SECRETS.deeply(json.loads(written)), indent=indent, ensure_ascii=False)
    return escaped_json(written)


def print_secret(text: str) -> None:
    """Print what was just made to be kept secret: a key, a token."""
    print(text, file=sys.stdout.raw if isinstance(sys.stdout, PresentableStream) else sys.stdout)


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


class Exact(str):
    """A text that a page carries without showing it, in a field that comes back."""

    __slots__ = ()


def on_page(value: Any) -> Any:
    """Make what a template puts on a page presentable, before it is escaped."""
    return presentable(value) if type(value) is str else value


def page_environment(folder: Path) -> "Environment":
    """Return what renders the templates of a folder: all that is shown is presentable and escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # few commands make a page

    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        finalize=on_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["utc"] = lambda when: f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return made
