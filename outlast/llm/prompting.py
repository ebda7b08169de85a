"""How parts become a prompt, and how parts that are too long are cut. Pure.

Labelled parts stand in `<part label="…">` tags, so that a model can tell material from instruction; the local model
relies on the same tags.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from outlast.contracts import SMALL_MODEL_HINT, ModelRequest, Part

CONTINUE = "Continue exactly where you stopped. Repeat nothing."

_CLOSING = re.compile(r"</part", re.IGNORECASE)
_DEFUSED = "< /part"
_CUT = "\n[… {count} characters left out …]\n"


def references(request: ModelRequest) -> list[str]:
    """List what a call is made of beside its transcript, to be read in one go."""
    parts = [part for message in request.messages for part in message.parts]
    parts += [part for part in (request.system, request.continues, request.toolset) if part is not None]
    return [part.ref for part in parts if part.ref is not None]


def resolved(part: Part | None, texts: Mapping[str, str]) -> str:
    """Return the text of a part; `texts` are those of references."""
    if part is None:
        return ""
    return texts[part.ref] if part.ref is not None else part.text or ""


def schema_for(schema: dict[str, Any] | None, *, hints: bool) -> dict[str, Any] | None:
    """Return a schema as a model is sent it: hints for small models are put into descriptions, or left out."""
    return None if schema is None else _with_hints(schema, keep=hints)


def _with_hints(schema: Any, *, keep: bool) -> Any:
    if isinstance(schema, list):
        return [_with_hints(value, keep=keep) for value in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _with_hints(value, keep=keep) for name, value in schema.items() if name != SMALL_MODEL_HINT}
    hint = schema.get(SMALL_MODEL_HINT)
    if keep and isinstance(hint, str):
        made["description"] = f"{schema.get('description', '')} {hint}".strip()
    return made


def render(parts: Sequence[tuple[str, str]]) -> str:
    """Join (label, text) pairs into one prompt; parts without a label stand as they are.

    Material that holds a closing tag itself cannot end its part early: the tag is defused.
    """
    return "".join(_pieces(parts))


def rendered_length(parts: Sequence[tuple[str, str]]) -> int:
    """Count the characters of a prompt without putting it together."""
    return sum(map(len, _pieces(parts)))


def _pieces(parts: Sequence[tuple[str, str]]) -> list[str]:
    """Return what a prompt is joined of in one go: a text of megabytes is copied once, into the prompt."""
    pieces: list[str] = []
    for label, text in parts:
        pieces += ["\n\n"] if pieces else []
        pieces += [f"<part label={quoteattr(label)}>\n", _CLOSING.sub(_DEFUSED, text), "\n</part>"] if label else [text]
    return pieces


def cut_to_fit(texts: Mapping[Part, str], budget: int) -> tuple[dict[Part, str], int]:
    """Cut the labelled parts to `budget` characters in all, the longest first; returns them and how much was left out.

    Every part keeps its beginning and its end; short parts stay whole, so that one huge part cannot push out the others.
    """
    lengths = sorted(len(text) for part, text in texts.items() if part.label)
    share, left = budget, budget
    for position, length in enumerate(lengths):
        share = left // (len(lengths) - position)
        if length > share:
            break
        left -= length
    kept: dict[Part, str] = {}
    left_out = 0
    for part, text in texts.items():
        kept[part] = text
        if part.label and len(text) > share:
            missing, tail = len(text) - share, share // 3
            kept[part] = text[: share - tail] + _CUT.format(count=missing) + text[len(text) - tail :]
            left_out += missing
    return kept, left_out


def shortened(messages: Sequence[dict[str, Any]], budget: int) -> list[dict[str, Any]]:
    """Cut the tool results of a conversation so that they take at most `budget` characters in all, the longest first."""
    lengths = sorted(len(block["content"]) for block in _results(messages))
    share, left = budget, budget
    for position, length in enumerate(lengths):
        share = max(0, left) // (len(lengths) - position)
        if length > share:
            break
        left -= length
    return [
        {**message, "content": [_shortened(block, share) for block in message["content"]]}
        if isinstance(message["content"], list)
        else message
        for message in messages
    ]


def _results(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
    return [block for block in blocks if block.get("type") == "tool_result" and isinstance(block.get("content"), str)]


def _shortened(block: dict[str, Any], share: int) -> dict[str, Any]:
    text = block.get("content")
    if block.get("type") != "tool_result" or not isinstance(text, str) or len(text) <= share:
        return block
    tail = share // 3
    cut = _CUT.format(count=len(text) - share)
    return {**block, "content": text[: share - tail] + cut + text[len(text) - tail :]}
