"""The page of any workflow's result: each text that it refers to, its other fields as JSON, and what all results share."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from rich.console import RenderableType
from rich.text import Text
from temporalio.common import RawValue

from outlast.cli.kinds import ResultPage, shared_in
from outlast.cli.printing import plain
from outlast.cli.rendering import STYLES, money, safe
from outlast.cli.result_texts import Reader
from outlast.contracts import ChangingResult, Content, RunState

DEEPEST = 100
"""Levels of a result that is read as data; a deeper one is shown as the text that it came as."""


@dataclass(frozen=True)
class AnyPage:
    """A result as JSON data, texts in the place of references.

    `found` are those texts by the path of their field. `shared` is what the run itself filled in, None for a workflow that is
    not built on AgentWorkflow.
    """

    value: Any
    found: dict[str, str]
    shared: ChangingResult | None

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: that its own state says it failed."""
        return "the run failed" if self.shared and self.shared.state is RunState.FAILED else ""

    @property
    def headline(self) -> str:
        """Its first text, else its own fields in a line."""
        return next(iter(self.found.values()), "") or json.dumps(self._own(), ensure_ascii=False)

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return list(self.found.items()) or [("", "" if self.value is None else self.headline)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        if not isinstance(self.value, dict):
            return {"result": self.value}
        shared = {"state": self.shared.state, "spend": plain(self.shared.spend)} if self.shared else {}
        return {**self.value, **shared}

    def lines(self) -> list[RenderableType]:
        """Show each text, then the other fields as JSON, then how it ended and what it cost."""
        parts: list[RenderableType] = []
        for name, text in self.found.items():
            parts += [Text(safe(name), style="bold"), Text(safe(text)), Text()]
        if rest := self._own():
            parts += [Text(safe(json.dumps(rest, ensure_ascii=False, indent=2))), Text()]
        if self.shared:
            state = self.shared.state
            parts.append(Text.assemble((state, STYLES[state]), f" · {money(self.shared.spend)}"))
        return parts

    def _own(self) -> Any:
        """Return what is shown as JSON: all but texts of top-level fields and what every result shares."""
        if not isinstance(self.value, dict):
            return self.value
        hidden = {*self.found, *(ChangingResult.model_fields if self.shared else ())}
        return {name: value for name, value in self.value.items() if name not in hidden}


async def read_anything(reader: Reader, result: Any) -> AnyPage:
    """Read every text that the result refers to."""
    value = _json_of(result) if isinstance(result, RawValue) else result
    shared = shared_in(value)
    if shared is not None and shared.report is not None:
        value = {name: field for name, field in value.items() if name != "report"}  # the step trace, not a result
    found: dict[str, str] = {}
    return AnyPage(await _resolved(reader, value, "", found), found, shared)


def _json_of(raw: RawValue) -> Any:
    if not raw.payload.data:
        return None
    try:
        read = json.loads(raw.payload.data)
    except (ValueError, RecursionError):
        return raw.payload.data.decode(errors="replace")
    return read if _is_within(read, DEEPEST) else raw.payload.data.decode(errors="replace")


def _is_within(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_within(each, levels - 1) for each in inner)


async def _resolved(reader: Reader, value: Any, path: str, found: dict[str, str]) -> Any:
    """Put texts in the place of the contents that refer to them."""
    if isinstance(value, dict) and _is_content(value):
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


def _is_content(value: dict[str, Any]) -> bool:
    """Whether data is a `Content`: its size is always there, fields with their default value are left out."""
    return "size" in value and set(value) <= set(Content.model_fields) and bool({"text", "ref"} & set(value))


PAGE = ResultPage(RawValue, read_anything)
