"""From a caller's JSON schema to one that the grammar compiler enforces and a tiny model comes to the end of.

Two traps make this necessary. The compiler ignores the *whole* schema, silently, if it meets a keyword that it does
not know (`uniqueItems`, `format: uri`, `not`, …), so only known ones are passed on. And a small model inside an open
string, list or number goes on until the token limit, which leaves broken JSON; so everything open is closed with a
bound of ours, chosen such that the longest possible answer fits into the tokens that were allowed. Bounds only
narrow: what matches the result matches the caller's schema.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from outlast.devstack.local_model.dialect import (
    LARGEST,
    Schema,
    bounded_number,
    implied_type,
    target_of,
    with_all_of,
    with_described,
)
from outlast.devstack.local_model.errors import invalid

UNENFORCED = (
    "not", "if", "contains", "uniqueItems", "patternProperties", "propertyNames", "dependentRequired",
    "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems",
)  # fmt: skip
FORMATS = {"date", "uuid", "ipv4"}  # each has an end of its own
FORMAT_PATTERNS = {
    "date-time": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
    "time": r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
    "email": r"^[a-z0-9._-]{1,24}@[a-z0-9-]{1,24}\.[a-z]{2,6}$",
    "uri": r"^https?://[a-z0-9.-]{3,40}(/[A-Za-z0-9._-]{0,40}){0,3}$",
    "hostname": r"^[a-z0-9-]{1,24}(\.[a-z0-9-]{1,24}){1,3}$",
}
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
DEEPEST = 2  # how often a schema may appear within itself
CHARS_PER_TOKEN = 3.5


class Bounds(NamedTuple):
    """The bounds that close what a schema leaves open: characters of a string, items of a list."""

    text: int
    items: int


LADDER = (Bounds(400, 6), Bounds(280, 5), Bounds(200, 4), Bounds(140, 3), Bounds(90, 3), Bounds(50, 2), Bounds(24, 1))


class _TooDeepError(Exception):
    """A schema that refers to itself has been followed far enough."""


def fitted(schema: Schema, tokens: int, *, strict: bool) -> Schema:
    """Return the enforceable form of `schema`, bounded so that `tokens` suffice; 400 if `strict` finds it too rich."""
    closed: Schema = {}
    for bounds in LADDER:
        closed = _Closing(schema, bounds, strict).run()
        if longest(closed) / CHARS_PER_TOKEN + 8 <= tokens:
            break
    return closed


def longest(schema: Schema) -> int:
    """Return how many characters the longest answer to a closed schema has."""
    if "const" in schema or "enum" in schema:
        return max(len(json.dumps(value, ensure_ascii=False)) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return max(longest(branch) for branch in schema["anyOf"])
    match schema.get("type"):
        case "object":
            named = sum(len(name) + 6 + longest(child) for name, child in schema.get("properties", {}).items())
            free = [28 + longest(child) for child in schema.get("patternProperties", {}).values()]
            return int(2 + named + schema.get("maxProperties", 0) * sum(free))
        case "array":
            fixed = [longest(child) + 2 for child in schema.get("prefixItems", [])]
            items = schema.get("items")
            count = schema.get("maxItems", 0) - len(fixed)
            return int(2 + sum(fixed) + (count * (longest(items) + 2) if isinstance(items, dict) else 0))
        case "string":
            return int(schema.get("maxLength", 40)) + 2
    return 14


class _Closing:
    """One pass over one schema with one set of bounds."""

    def __init__(self, root: Schema, bounds: Bounds, strict: bool) -> None:
        self.root = root
        self.bounds = bounds
        self.strict = strict
        self.within: list[str] = []

    def run(self) -> Schema:
        try:
            return self.close(self.root)
        except _TooDeepError:
            raise invalid("the JSON schema contains itself without an end") from None

    def close(self, node: Any) -> Schema:
        """Return the closed form of one node, with its description kept for those who look for hints."""
        if node is True or node == {}:
            return self.anything()
        if not isinstance(node, dict):
            raise invalid(f"the JSON schema has {json.dumps(node)} where a schema was expected")
        node = with_all_of(self.root, node)
        if "$ref" in node:
            return self.referred(node)
        if self.strict and (unknown := [word for word in UNENFORCED if node.get(word) not in (None, False)]):
            raise invalid(f"output_config.format.schema: the keyword '{unknown[0]}' is not supported")
        node = with_described(node)
        note = {"description": node["description"]} if isinstance(node.get("description"), str) else {}
        return self.shape(node) | note

    def referred(self, node: Schema) -> Schema:
        ref = node["$ref"]
        if self.within.count(ref) >= DEEPEST:
            raise _TooDeepError
        self.within.append(ref)
        try:
            target = target_of(self.root, ref)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            if not isinstance(target, dict):
                return self.close(target)
            notes = [note for note in (beside.get("description"), target.get("description")) if note]
            return self.close({**target, **beside} | ({"description": "\n".join(notes)} if notes else {}))
        finally:
            self.within.pop()

    def shape(self, node: Schema) -> Schema:
        if "const" in node:
            return {"const": node["const"]}
        if "enum" in node:
            if not node["enum"]:
                raise invalid("the JSON schema has an empty enum")
            return {"enum": list(node["enum"])}
        for word in ("anyOf", "oneOf"):
            if word in node:
                beside = {key: value for key, value in node.items() if key not in (word, "description")}
                return self.alternatives([{**beside, **branch} for branch in node[word]])
        kind = node.get("type") or implied_type(node)
        if isinstance(kind, list):
            return self.alternatives([{**node, "type": one} for one in kind])
        if kind is None:
            return self.anything()
        if kind in ("number", "integer", "boolean", "null"):
            return bounded_number(node, kind) if kind in ("number", "integer") else {"type": kind}
        closers = {"object": self.object, "array": self.array, "string": self.string}
        if kind not in closers:
            raise invalid(f"the JSON schema has the unknown type {kind!r}")
        return closers[kind](node)

    def anything(self) -> Schema:
        string = {"type": "string", "maxLength": self.bounds.text}
        return {"anyOf": [string, bounded_number({}, "number"), {"type": "boolean"}, {"type": "null"}]}

    def alternatives(self, branches: Sequence[Schema]) -> Schema:
        closed = []
        for branch in branches:
            try:
                closed.append(self.close(branch))
            except _TooDeepError:
                continue
        if not closed:
            raise _TooDeepError
        if all("const" in branch or "enum" in branch for branch in closed):
            values = [value for branch in closed for value in branch.get("enum", [branch.get("const")])]
            return {"enum": [value for i, value in enumerate(values) if value not in values[:i]]}
        return {"anyOf": closed} if len(closed) > 1 else closed[0]

    def object(self, node: Schema) -> Schema:
        required = list(node.get("required", []))
        given = {name: node.get("properties", {}).get(name, {}) for name in (*node.get("properties", {}), *required)}
        if not given:
            values = node.get("additionalProperties")
            least = int(node.get("minProperties", 0))
            most = min(int(node.get("maxProperties", LARGEST)), max(self.bounds.items, least))
            child = self.close(values if isinstance(values, dict) else {})
            sizes = {"minProperties": least, "maxProperties": most}
            keys = {"^[A-Za-z_][A-Za-z0-9_]{0,23}$": child}
            return {"type": "object", "patternProperties": keys, "additionalProperties": False, **sizes}
        properties: Schema = {}
        for name, child in given.items():
            try:
                properties[name] = self.close(child)
            except _TooDeepError:
                if name in required:
                    raise
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    def array(self, node: Schema) -> Schema:
        least = int(node.get("minItems", 0))
        most = min(int(node.get("maxItems", LARGEST)), max(self.bounds.items, least))
        first = [self.close(child) for child in node.get("prefixItems", [])]
        if first:
            return {
                "type": "array",
                "prefixItems": first,
                "items": False,
                "minItems": len(first),
                "maxItems": len(first),
            }
        try:
            return {"type": "array", "items": self.close(node.get("items", {})), "minItems": least, "maxItems": most}
        except _TooDeepError:
            if least:
                raise
            return {"const": []}

    def string(self, node: Schema) -> Schema:
        least = int(node.get("minLength", 0))
        most = min(int(node.get("maxLength", LARGEST)), max(self.bounds.text, least))
        wanted = node.get("format")
        if wanted in FORMATS:
            return {"type": "string", "format": wanted}
        pattern = node.get("pattern") or FORMAT_PATTERNS.get(wanted or "")
        closed: Schema = {"type": "string", "minLength": least, "maxLength": most}
        return closed | ({"pattern": pattern} if pattern else {})
