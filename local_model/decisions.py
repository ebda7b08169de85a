"""Which parts of an answer are decided by scoring, and how a decision is put into the schema.

The hint format (label words and cue in a description) is told in the docstring of the package. The trap: a decision
must leave the schema one that still matches the caller's, so a decided value only replaces an enum by one member of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from local_model.choosing import TOPIC_CUE, Question
from local_model.dialect import Schema
from local_model.messages import Tool

LABEL_WORDS = re.compile(r"Label words:\s*(.+?)(?:\.(?:\s|$)|\n|$)", re.IGNORECASE)
CUE = re.compile(r"\bCue:[ \t]*([^\n]+)", re.IGNORECASE)
TOPICS = ("kind", "category", "topic", "class", "label", "type")
TOOL_CUE = "The text above is a request to"


@dataclass(frozen=True)
class Decision:
    """A property to be decided: the names that lead to it, its options, and the question that is scored."""

    path: tuple[str, ...]
    options: tuple[Any, ...]
    question: Question


def decisions(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[Decision]:
    """Yield what is to be decided in a closed schema: its enums outside of lists and alternatives."""
    for name, child in schema.get("properties", {}).items():
        enum = _enum_of(child)
        hint = str(child.get("description", ""))
        if enum is None and child.get("type") == "boolean" and CUE.search(hint):
            enum = [True, False]
        if enum is not None and len(enum) > 1:
            yield Decision((*path, name), tuple(enum), question(name, hint, enum))
        else:
            yield from decisions(child, (*path, name))


def _enum_of(node: Schema) -> list[Any] | None:
    """Return the members of an enum, looking through `enum or null`, where the enum is what one asks for."""
    branches = node.get("anyOf", [node])
    enums = [list(branch["enum"]) for branch in branches if "enum" in branch]
    nulls = [branch for branch in branches if branch.get("type") == "null"]
    members = enums[0] if len(enums) == 1 and len(enums) + len(nulls) == len(branches) else None
    simple = members is not None and all(isinstance(member, str | int | float | bool | None) for member in members)
    return members if simple else None


def question(name: str, hint: str, options: Sequence[Any]) -> Question:
    """Return the question for a property, from the hints in its description or, without them, from its name."""
    given = dict(default_words(option) for option in options)
    if found := LABEL_WORDS.search(hint):
        for entry in found.group(1).split(","):
            value, _, words = entry.partition("=")
            if value.strip() in given and words.strip():
                given[value.strip()] = tuple(word.strip() for word in words.split("/") if word.strip())
    cue = CUE.search(hint)
    return Question(cue.group(1).strip() if cue else default_cue(name), tuple(given.values()))


def default_words(option: Any) -> tuple[str, tuple[str, ...]]:
    """Return how an option is written in hints, and the word that stands for it unless hints say otherwise."""
    if isinstance(option, bool):
        return str(option).lower(), ("yes" if option else "no",)
    written = "none" if option is None else str(option)
    return written, (written.replace("_", " ").strip() or "nothing",)


def default_cue(name: str) -> str:
    """Return the cue for a property without one: a topic if it is called so, else a sentence about its name."""
    if name.lower().rsplit("_", 1)[-1] in TOPICS:
        return TOPIC_CUE
    return f"Overall, the {name.replace('_', ' ')} of the text above is"


def tool_question(tools: Sequence[Tool]) -> Question:
    """Return the question which of some tools is asked for: each stands for its first sentence and its name."""
    words = []
    for tool in tools:
        sentence = re.split(r"[.\n]", tool.description.strip(), maxsplit=1)[0]
        described = " ".join(sentence.split()[:12])
        named = re.sub(r"[_.-]+", " ", tool.name)
        words.append(tuple(filter(None, (described[:1].lower() + described[1:], named))))
    return Question(TOOL_CUE, tuple(words))


def settled(schema: Schema, path: Sequence[str], value: Any) -> Schema:
    """Return the schema with nothing but `value` at `path`."""
    name, *rest = path
    if rest:
        child, required = settled(schema["properties"][name], rest, value), schema["required"]
    else:
        child, required = {"const": value}, list(dict.fromkeys([*schema["required"], name]))
    return {**schema, "properties": {**schema["properties"], name: child}, "required": required}


def confidence_beside(schema: Schema, path: Sequence[str]) -> tuple[str, ...] | None:
    """Return the path of the number called `confidence` beside the property at `path`, if it can hold a probability."""
    node = schema
    for name in path[:-1]:
        node = node["properties"][name]
    number = node["properties"].get("confidence", {})
    fits = number.get("type") == "number" and number.get("minimum", 0) <= 0 and number.get("maximum", 1) >= 1
    return (*path[:-1], "confidence") if fits else None


def only_value(schema: Schema) -> tuple[bool, Any]:
    """Return whether a schema admits just one value, and that value."""
    if "const" in schema:
        return True, schema["const"]
    properties = schema.get("properties")
    if properties is None or set(properties) - set(schema.get("required", [])):
        return False, None
    values = {name: only_value(child) for name, child in properties.items()}
    if not all(known for known, _ in values.values()):
        return False, None
    return True, {name: value for name, (_, value) in values.items()}
