"""Reads the JSON object out of an answer: strictly first, and only where that fails leniently, saying how.

Models put prose, thoughts and code fences around their JSON, or slip in its grammar. What is read leniently is never guessed
from prose, and never from an answer that breaks off: closing its brackets would make half an answer a whole one. Checking may
wait for a parser process, so call `read_answer` in a thread (`PARSERS.off_loop`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from json_repair import repair_json
from pydantic_core import from_json

from outlast.documents.parsing.schemas import SchemaInvalidError, violations
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.scales import on_scales

LENIENT_LIMIT = 256 * 1024
"""Longest answer, in characters, that is read leniently; a longer one goes back as it is."""

NOTE_LIMIT = 500
OPENERS_TRIED = 100
"""How many brackets in the prose around the JSON are tried as its beginning."""

ALONE, AROUND, TEXT, CORRECTED = (
    "taken out of a list of one",
    "the text around the JSON was left out",
    "the JSON stood in a text",
    "faults in the JSON's grammar were corrected",
)
"""What was read otherwise than written."""

_THOUGHTS = re.compile(r"<(think|thinking|reasoning|thought)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHTS = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_OPENERS = re.compile(r"[{\[]")
_TOKENS = re.compile(r'["\\{}\[\]]')
_BEGINS_JSON = re.compile(r"""\{\s*(?:["'}]|[A-Za-z_]\w*\s*:)|\[\s*[{\["'\]]""")
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')
_SIGNS = re.compile(r'^$|[{}"]')
"""What no key is, but of an object that breaks off before another one and was repaired to hold that as its key."""
_NO_VALUE = re.compile(r"[:\[,]\s*(?:-?NaN\b|-?Infinity\b|\.\.\.)")


@dataclass(frozen=True)
class Answered:
    """What an answer holds: the object if there is one, how it breaks the schema, and what was read leniently ("": nothing)."""

    data: dict[str, Any] | None
    wrong: tuple[str, ...] = ()
    leniently: str = ""


def read_answer(text: str, schema: dict[str, Any]) -> Answered:
    """Read a JSON object out of an answer and check it; `wrong` is in words for the model."""
    stripped = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        # Not the standard library's: that takes NaN, half characters and endless nesting, which history cannot hold.
        value = from_json(stripped, allow_inf_nan=False)
    except ValueError as error:
        found = _leniently(stripped, schema) if len(stripped) <= LENIENT_LIMIT else None
        return found or Answered(None, (f"the answer is not JSON: {error}",))
    if isinstance(value, dict):
        return _checked(value, schema)
    inner = _within(value)
    if inner is not None:
        answered = _checked(inner, schema, TEXT if isinstance(value, str) else ALONE)
        if not answered.wrong:
            return answered
    return Answered(None, (f"the answer must be a JSON object, not {type(value).__name__}",))


def _checked(data: dict[str, Any], schema: dict[str, Any], *how: str) -> Answered:
    """Read its numbers on scales and check it; `how` says what was read leniently so far."""
    read, notes = on_scales(data, schema)
    return Answered(read, _breaks(read, schema), "; ".join([*how, *notes])[:NOTE_LIMIT])


def _within(value: Any) -> dict[str, Any] | None:
    """Return the object in a list of one, or in a text that is JSON itself."""
    if isinstance(value, str):
        try:
            value = from_json(value, allow_inf_nan=False)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else None


def _leniently(text: str, schema: dict[str, Any]) -> Answered | None:
    """Find the object within other text: of several the last that fits the schema, else the largest."""
    found: list[tuple[Answered, int]] = []
    for piece in _pieces(text):
        value, note = _read(piece)
        data = _within(value) if isinstance(value, list) else value
        if isinstance(data, dict) and data:
            answered = _checked(data, schema, *([] if piece == text.strip() else [AROUND]), *note)
            if isinstance(value, dict) or not answered.wrong:
                found.append((answered, len(piece)))
    fitting = [answered for answered, _ in found if not answered.wrong]
    if fitting:
        return fitting[-1]
    return max(found, key=lambda each: each[1])[0] if found else None


def _read(piece: str) -> tuple[Any, list[str]]:
    """Read one piece of text that begins and ends like JSON; None where it is none."""
    try:
        return from_json(piece, allow_inf_nan=False), []
    except ValueError as error:
        if "recursion" in str(error):
            return None, []
    # What is JSON but for NaN or half a character stays refused, as it is where nothing stands around it.
    if not _BEGINS_JSON.match(piece) or _NO_VALUE.search(_TEXTS.sub('""', piece)) or _is_json(piece):
        return None, []
    try:
        repaired = repair_json(piece, return_objects=True, skip_json_loads=True)
        if isinstance(repaired, dict) and any(_SIGNS.search(key) for key in repaired):
            return None, []
        return from_json(json.dumps(repaired), allow_inf_nan=False), [CORRECTED]
    except (ValueError, RecursionError):
        return None, []


def _pieces(text: str) -> Iterator[str]:
    """Cut the outermost JSON-like pieces out of a text; none at all where one of them breaks off."""
    begun = _END_OF_THOUGHTS.search(text)
    if begun and not _THOUGHTS.search(text[: begun.end()]):
        text = text[begun.end() :]  # the opening tag was part of the prompt
    pieces, position = [], 0
    for _ in range(OPENERS_TRIED):
        opener = _OPENERS.search(text, position)
        thoughts = _THOUGHTS.search(text, position)
        if thoughts and (opener is None or thoughts.start() < opener.start()):
            position = thoughts.end()
            continue
        if opener is None:
            break
        if not _BEGINS_JSON.match(text, opener.start()):
            position = opener.end()
            continue
        end = _closing(text, opener.start())
        if end is None:
            return
        pieces.append(text[opener.start() : end])
        position = end
    yield from pieces


def _closing(text: str, start: int) -> int | None:
    """Find the end of the piece that begins with a bracket, texts in double quotes left out; None if it never ends."""
    depth, quoted, escaped = 0, False, -1
    for token in _TOKENS.finditer(text, start):
        sign, place = token.group(), token.start()
        if quoted:
            if sign == "\\" and place != escaped:
                escaped = place + 1
            elif sign == '"' and place != escaped:
                quoted = False
        elif sign == '"':
            quoted = True
        elif sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
            if depth == 0:
                return place + 1
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _breaks(data: dict[str, Any], schema: dict[str, Any]) -> tuple[str, ...]:
    """Return how an object breaks its schema."""
    try:
        return violations(data, schema)
    except SchemaInvalidError as error:
        raise non_retryable(ErrorKind.INPUT_INVALID, f"the output schema cannot be used: {error}") from None


def web_findings(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """List what a provider's own web search found: title, url, age and what the answer takes from it, each page once.

    The pages themselves come encrypted, so all that is known of one is what the model quoted from it.
    """
    found: dict[str, dict[str, str]] = {}
    for block in blocks:
        results = block.get("content") if block.get("type") == "web_search_tool_result" else None
        for result in results if isinstance(results, list) else []:
            url = str(result.get("url", ""))
            if url and url not in found:
                found[url] = {
                    "title": str(result.get("title", "")),
                    "url": url,
                    "published": str(result.get("page_age") or ""),
                    "text": "",
                }
        for citation in block.get("citations") or [] if block.get("type") == "text" else []:
            page = found.get(str(citation.get("url", "")))
            if page is not None and str(block.get("text", "")) not in page["text"]:
                page["text"] = f"{page['text']} {block.get('text', '')}".strip()
    return list(found.values())
