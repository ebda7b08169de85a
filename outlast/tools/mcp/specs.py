"""Makes tools of MCP servers fit for a model: names and schemas that the Messages API takes, and the mapping back for calls.

MCP allows more than the API does, and one tool that it refuses spoils every request of a session. So a schema is wrapped, or
loosened; the server checks its arguments in any case.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outlast.contracts import Effect, ToolCard, ToolSpec
from outlast.documents.parsing.schemas import schema_problem
from outlast.tools.names import MCP

if TYPE_CHECKING:
    from mcp import types

CARD_SECONDS = 60.0
LONGEST_NAME = 64
"""Longest name that every model takes; newer ones take 128."""
DEEPEST = 40
"""Levels of JSON that a schema may have; what is below is left to the server."""
LARGEST_SCHEMA = 100_000
WRAPPER = "input"
"""The property that the arguments stand under where a schema has to be wrapped."""

_COMBINED = ("oneOf", "anyOf", "allOf", "$ref", "not", "if", "enum", "const")
"""What may not stand at the top of a schema."""
_PLACES = frozenset({"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"})
"""What names places in a schema in another way than by its path."""
_FOREIGN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FOREIGN_PROPERTY = re.compile(r"[^A-Za-z0-9_.-]")


@dataclass(frozen=True)
class McpTool:
    """A tool of a server as we know it: its card, what models see, its name at the server, and what had to be changed.

    Without a `spec` it cannot be used, and `changed` says why.
    """

    card: ToolCard
    spec: ToolSpec | None
    name: str
    changed: str = ""


def fitted(server: str, tools: Iterable["types.Tool"]) -> list[McpTool]:
    """Make tools of what a server lists; a name that is listed twice counts once.

    May wait for a parser: call it in a thread.
    """
    found: dict[str, McpTool] = {}
    taken: set[str] = set()
    for tool in tools:
        if tool.name not in found:
            name = _name(server, tool.name, taken)
            taken.add(name)
            found[tool.name] = _fitted(server, name, tool)
    return list(found.values())


def given(spec: ToolSpec, arguments: Any) -> Any:
    """Return a model's arguments as the server wants them."""
    if not isinstance(arguments, Mapping):
        return arguments
    if spec.wrapped:
        return arguments.get(spec.wrapped, {})
    return {spec.renamed.get(key, key): value for key, value in arguments.items()}


def _fitted(server: str, name: str, tool: "types.Tool") -> McpTool:
    hints = tool.annotations
    effect = Effect.READ if hints is not None and hints.readOnlyHint is True else Effect.IRREVERSIBLE
    card = ToolCard(name=name, effect=effect, timeout=CARD_SECONDS, server=server)
    schema = tool.inputSchema
    kinds = schema.get("type", "object")
    if "object" not in (kinds if isinstance(kinds, list) else [kinds]):
        return McpTool(card, None, tool.name, f"its input is {kinds}, and not an object")
    spec, changed = _spec(name, tool.description or tool.title or tool.name, schema)
    named = spec.input_schema.get("properties")
    takes = tuple(named) if isinstance(named, dict) and not spec.input_schema.get("additionalProperties") else ()
    return McpTool(card.model_copy(update={"takes": takes}), spec, tool.name, changed)


def _spec(name: str, description: str, schema: dict[str, Any]) -> tuple[ToolSpec, str]:
    """Return the tool in a form that the API takes, and notes on what had to be changed."""
    schema = {key: value for key, value in schema.items() if key != "$schema"}  # the API knows one draft alone
    kept = _trimmed(schema, schema, DEEPEST)
    if kept.get("$ref") in ("#", "#/"):
        del kept["$ref"]
    changed = "parts of its schema are left out" if kept != schema else ""
    if not _sound(kept):
        kept = _loosened(schema)
        changed = "its schema is none that models take, so only the server checks what it is given"
    kept = {**kept, "type": "object"}
    if any(key in kept for key in _COMBINED):
        inner = {key: value for key, value in kept.items() if key not in ("$defs", "definitions")}
        outer = {key: kept[key] for key in ("$defs", "definitions") if key in kept}
        made = {
            "type": "object",
            "properties": {WRAPPER: _with_refs(inner, _moved)},
            "required": [WRAPPER],
            "additionalProperties": False,
            **{key: _with_refs(value, _moved) for key, value in outer.items()},
        }
        wrapped = f"its arguments stand under '{WRAPPER}'"
        spec = ToolSpec(name=name, description=description, input_schema=made, wrapped=WRAPPER)
        return spec, "; ".join(filter(None, (changed, wrapped)))
    renamed = _renamed(kept.get("properties", {}))
    if renamed:
        back = {theirs: ours for ours, theirs in renamed.items()}
        properties = {back.get(key, key): value for key, value in kept["properties"].items()}
        required = [back.get(key, key) for key in kept.get("required", ())]
        kept = {**kept, "properties": properties, **({"required": required} if required else {})}
        changed = "; ".join(filter(None, (changed, f"its arguments {', '.join(back)} are called {', '.join(renamed)}")))
    return ToolSpec(name=name, description=description, input_schema=kept, renamed=renamed), changed


def _name(server: str, name: str, taken: set[str]) -> str:
    """Return a name that the API takes and no other tool has: shortened or marked with a hash of its own where it must be."""
    made = f"{MCP}{server}__{_FOREIGN_NAME.sub('_', name)}"
    if len(made) <= LONGEST_NAME and made not in taken:
        return made
    mark = hashlib.sha256(f"{server}/{name}".encode()).hexdigest()[:8]
    return f"{made[: LONGEST_NAME - 9]}_{mark}"


def _trimmed(schema: Any, whole: Mapping[str, Any], levels: int) -> Any:
    """Copy a schema without what is too deep, and without dangling references."""
    if isinstance(schema, list):
        return [_trimmed(each, whole, levels - 1) for each in schema] if levels > 0 else []
    if not isinstance(schema, dict):
        return schema
    if levels <= 0:
        return {}
    return {
        key: _trimmed(value, whole, levels - 1)
        for key, value in schema.items()
        if not isinstance(value, str) or not (key in _PLACES or (key == "$ref" and not _leads(value, whole)))
    }


def _leads(reference: str, whole: Any) -> bool:
    """Whether a reference leads to a place in the same schema."""
    if not reference.startswith("#"):
        return False
    place = whole
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdigit() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, dict) and key in place:
            place = place[key]
        else:
            return False
    return reference in ("#", "#/") or "/" in reference


def _sound(schema: dict[str, Any]) -> bool:
    """Whether arguments can be checked against a schema and the API takes it."""
    return len(json.dumps(schema)) <= LARGEST_SCHEMA and not schema_problem(schema, patterns=False)


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep only the properties of a schema and their descriptions."""
    properties = schema.get("properties")
    named = properties if isinstance(properties, dict) else {}
    return {
        "type": "object",
        "properties": {
            str(key)[:200]: {"description": value["description"][:500]}
            if isinstance(value, dict) and isinstance(value.get("description"), str)
            else {}
            for key, value in list(named.items())[:200]
        },
    }


def _renamed(properties: Any) -> dict[str, str]:
    """Name the properties anew that the API refuses: our name to the server's."""
    made: dict[str, str] = {}
    for key in properties if isinstance(properties, dict) else ():
        if not _PROPERTY.fullmatch(key):
            name = (_FOREIGN_PROPERTY.sub("_", key) or "_")[:64]
            if name in properties or name in made:
                name = f"{name[:55]}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            made[name] = key
    return made


def _moved(reference: str) -> str:
    """Return where a reference leads once the schema stands under the wrapper; definitions stay at the top."""
    if reference.startswith(("#/$defs/", "#/definitions/")):
        return reference
    return f"#/properties/{WRAPPER}{reference[1:].rstrip('/')}"


def _with_refs(schema: Any, change: Callable[[str], str]) -> Any:
    if isinstance(schema, list):
        return [_with_refs(each, change) for each in schema]
    if isinstance(schema, dict):
        return {
            key: change(value) if key == "$ref" and isinstance(value, str) else _with_refs(value, change)
            for key, value in schema.items()
        }
    return schema
