"""Reading JSON schemas as people and SDKs write them: references, merged parts, implied types, notes in descriptions.

Descriptions carry two kinds of notes for this package: hints for the scorer (see the docstring of the package), and
constraints that Anthropic's SDK moves to the end of a description, as in `{maxLength: 80}`.
"""

import json
import re
from typing import Any

from outlast.devstack.local_model.errors import invalid

Schema = dict[str, Any]

NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
SIZES = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
LARGEST = 1_000_000_000
LABEL_WORDS = re.compile(r"Label words:\s*(.+?)(?:\.(?:\s|$)|\n|$)", re.IGNORECASE)
CUE = re.compile(r"\bCue:[ \t]*([^\n]+)", re.IGNORECASE)
IN_DESCRIPTION = re.compile(r"\{([^{}]*)\}\s*$")
SETTING = re.compile(rf"\b({'|'.join(NUMERIC + SIZES)}): (-?\d+(?:\.\d+)?)")


def target_of(root: Schema, ref: Any) -> Any:
    """Return what a reference inside `root` (`#/$defs/Name`) points to; 400 if it points nowhere."""
    target: Any = root
    for step in str(ref).removeprefix("#").strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if name and (not isinstance(target, dict) or name not in target):
            raise invalid(f"the JSON schema refers to {ref}, which it does not contain")
        target = target[name] if name else target
    return target


def with_all_of(root: Schema, node: Schema) -> Schema:
    """Merge the parts of an `allOf` into one node; a part's reference is followed."""
    parts = node.get("allOf")
    if not isinstance(parts, list):
        return node
    beside = {key: value for key, value in node.items() if key != "allOf"}
    if len(parts) == 1:
        return {**parts[0], **beside}
    merged: Schema = {}
    for written in [*parts, beside]:
        part = {**target_of(root, written["$ref"]), **written} if "$ref" in written else written
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged |= {key: value for key, value in part.items() if key != "$ref"}
        merged |= {"properties": properties} if properties else {}
        merged |= {"required": required} if required else {}
    return merged


def with_described(node: Schema) -> Schema:
    """Read back the constraints at the end of a description."""
    found = IN_DESCRIPTION.search(str(node.get("description", "")))
    if not found:
        return node
    described = {word: json.loads(value) for word, value in SETTING.findall(found.group(1))}
    return {**described, **node}


def implied_type(node: Schema) -> str | None:
    """Return the type that a node without `type` must mean, judged by its keywords."""
    for kind, words in {
        "object": ("properties", "required", "additionalProperties"),
        "array": ("items", "prefixItems", "minItems", "maxItems"),
        "string": ("pattern", "format", "minLength", "maxLength"),
        "number": NUMERIC,
    }.items():
        if any(word in node for word in words):
            return kind
    return None


def bounded_number(node: Schema, kind: str) -> Schema:
    """Return a number or integer with both ends, and with an end to its decimals."""
    closed: Schema = {"type": kind} | {word: node[word] for word in NUMERIC if node.get(word) is not None}
    if "minimum" not in closed and "exclusiveMinimum" not in closed:
        closed["minimum"] = -LARGEST
    if "maximum" not in closed and "exclusiveMaximum" not in closed:
        closed["maximum"] = LARGEST
    if kind == "number" and "multipleOf" not in closed:
        closed["multipleOf"] = 0.001
    return closed


def plain(description: str) -> str:
    """Return a description without its notes."""
    text = IN_DESCRIPTION.sub("", CUE.sub("", LABEL_WORDS.sub("", description)))
    return " ".join(text.split()).rstrip(" .")
