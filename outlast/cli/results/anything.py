"""The page of any workflow's result: every field, and every text that a field refers to."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import RootModel, ValidationError
from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.pages import safe
from outlast.cli.result_texts import Reader
from outlast.contracts import Content

LISTED = ("state", "status")
"""Fields that are shown as they are, last."""


class Anything(RootModel[Any]):
    """A result of a workflow that has no page of its own, as JSON."""


@dataclass(frozen=True)
class AnyPage:
    """A result with its texts in the place of references; `found` are those texts by the path of their field."""

    value: Any
    found: dict[str, str]
    complaint: str = ""

    @property
    def headline(self) -> str:
        """Its first text, else all of it in a line."""
        return next(iter(self.found.values()), "") or json.dumps(self.value, ensure_ascii=False)

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return list(self.found.items()) or [("", self.headline)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return self.value if isinstance(self.value, dict) else {"result": self.value}

    def lines(self) -> list[RenderableType]:
        """Show each text, then the other fields as JSON."""
        parts: list[RenderableType] = []
        for name, text in self.found.items():
            parts += [Text(safe(name), style="bold"), Text(safe(text)), Text()]
        rest = {name: value for name, value in self.data().items() if name not in self.found}
        if rest or not parts:
            parts.append(Text(safe(json.dumps(rest, ensure_ascii=False, indent=2))))
        return parts


async def read_anything(reader: Reader, result: Anything) -> AnyPage:
    """Read every text that the result refers to."""
    found: dict[str, str] = {}
    value = await _resolved(reader, result.root, "", found)
    missing = value.get("tools_missing") if isinstance(value, dict) else None
    return AnyPage(value, found, f"tools were missing: {', '.join(map(str, missing))}" if missing else "")


async def _resolved(reader: Reader, value: Any, path: str, found: dict[str, str]) -> Any:
    """Put texts in the place of the contents that refer to them."""
    if isinstance(value, dict) and {"summary", "size"} <= set(value):
        try:
            text = await reader.text(Content.model_validate(value))
        except ValidationError:
            return value
        found[path or "result"] = text
        return text
    if isinstance(value, dict):
        return {
            name: await _resolved(reader, each, f"{path}.{name}" if path else name, found)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [await _resolved(reader, each, f"{path}[{index}]", found) for index, each in enumerate(value)]
    return value


PAGE = ResultPage(Anything, read_anything)
