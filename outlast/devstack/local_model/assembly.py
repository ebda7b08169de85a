"""A JSON answer put together from parts: choices by scoring, prose field by field, and the rest under a grammar.

A model of 135 million parameters that writes a JSON object fills its strings with copies of the title. Asked in
words for one field at a time ("List the key points, one per line."), it stays on the subject. The document's tokens are in
the prompt cache by then, so each question costs little more than its answer.

What people ask for in words comes back in words. Whatever does not fit the field's bounds is left to the grammar.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from outlast.devstack.local_model.choosing import Chooser, confidence_beside, decisions
from outlast.devstack.local_model.dialect import Schema, plain
from outlast.devstack.local_model.engine import Engine, Piece, Sampling
from outlast.devstack.local_model.errors import ApiError
from outlast.devstack.local_model.messages import MessageRequest, Usage
from outlast.devstack.local_model.prompting import Prompt, Renderer, tidied, uncut
from outlast.devstack.local_model.schema import CHARS_PER_TOKEN, SPACING, longest

Path = tuple[str, ...]
SHORTEST_PROSE = 60  # characters: a field with less room holds a name or a code, which a grammar gets right
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")


@dataclass
class Written:
    """An answer: `value` is None if the token limit came first, and then `text` is broken off."""

    value: Any = None
    text: str = ""
    last: Piece = field(default_factory=lambda: Piece("", "eos"))

    @property
    def usage(self) -> Usage:
        """Token counts over all parts."""
        return Usage(
            input_tokens=self.last.read, cache_read_input_tokens=self.last.cached, output_tokens=self.last.written
        )


class Assembler:
    """Writes JSON that matches a closed schema, with one engine."""

    def __init__(self, engine: Engine, renderer: Renderer, chooser: Chooser) -> None:
        self._engine = engine
        self._renderer = renderer
        self._chooser = chooser

    async def write(self, request: MessageRequest, prompt: Prompt, schema: Schema, *, ask: bool) -> Written:
        """Return an answer to `prompt`; `ask` says that strings are prose, to be asked for in words."""
        parts = await self._chosen(schema, prompt)
        written = Written()
        if ask and longest(schema) / CHARS_PER_TOKEN <= request.max_tokens:
            for path, node in prose(schema):
                if path not in parts and (value := await self._asked(request, path, node, written)) is not None:
                    parts[path] = value
        rest = remaining(schema, parts)
        generated: Any = {}
        if rest is not None:
            available = min(request.max_tokens - written.last.written, self._engine.window - len(prompt.tokens))
            text = await self._read(request, prompt, max(available, 1), written, schema={**rest, "x-guidance": SPACING})
            if written.last.stopped == "limit":
                return replace(written, text=text)
            try:
                generated = tidied(json.loads(text), rest)
            except ValueError:
                raise ApiError(500, "The inference engine did not keep to the JSON schema") from None
        return await self._finished(filled(schema, generated, parts), request, prompt, written)

    async def _finished(self, value: Any, request: MessageRequest, prompt: Prompt, written: Written) -> Written:
        """Return the complete answer, counted as the text that the caller gets; or its start, if that is too long."""
        text = json.dumps(value, ensure_ascii=False)
        size = len(await self._engine.tokens(text))
        read = written.last.read if written.last.written else len(prompt.tokens)  # nothing generated: all was chosen
        if size > request.max_tokens:
            last = Piece("", "limit", read=read, cached=written.last.cached, written=request.max_tokens)
            return Written(None, text[: len(text) * request.max_tokens // size], last)
        return Written(value, text, Piece("", "eos", read=read, cached=written.last.cached, written=size))

    async def _chosen(self, schema: Schema, prompt: Prompt) -> dict[Path, Any]:
        """Return the choices that scoring makes; a confidence beside several of them is that of the least sure."""
        chosen: dict[Path, Any] = {}
        confidences: dict[Path, float] = {}
        for decision in decisions(schema):
            odds = await self._chooser.probabilities(decision.question, prompt)
            best = max(range(len(odds)), key=odds.__getitem__)
            chosen[decision.path] = decision.options[best]
            if path := confidence_beside(schema, decision.path):
                confidences[path] = min(odds[best], confidences.get(path, 1.0))
        return chosen | {path: round(min(max(odds, 0.001), 0.999), 3) for path, odds in confidences.items()}

    async def _asked(self, request: MessageRequest, path: Path, node: Schema, written: Written) -> Any:
        """Ask for one field in words; None if the answer does not fit it."""
        prompt = await self._renderer.prompt(request, instruction(path, node))
        limit = min(int(longest(node) / CHARS_PER_TOKEN) + 8, self._engine.window - len(prompt.tokens))
        stop = () if node["type"] == "array" else ("\n\n",)
        text = await self._read(request, prompt, limit, written, stop=stop)
        cut = written.last.stopped == "limit"
        return as_items(text, node, cut=cut) if node["type"] == "array" else as_string(text, node, cut=cut)

    async def _read(
        self,
        request: MessageRequest,
        prompt: Prompt,
        limit: int,
        written: Written,
        *,
        stop: Sequence[str] = (),
        schema: Schema | None = None,
    ) -> str:
        """Return what is generated; its counts are added to `written`, the prompt being counted once."""
        text, last, before = "", Piece(""), written.last
        sampling = Sampling(request.temperature, request.top_p, request.top_k)
        pieces = self._engine.generate(prompt.tokens, limit, sampling, stop=stop, schema=schema)
        async with aclosing(pieces):
            async for piece in pieces:
                text, last = text + piece.text, piece
        first = not before.written
        written.last = replace(
            last,
            read=last.read if first else before.read,
            cached=last.cached if first else before.cached,
            written=before.written + last.written,
        )
        return text


def prose(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Yield the required fields that hold prose: open strings and lists of them, outside of lists and alternatives."""
    required = schema.get("required", [])
    for name, child in schema.get("properties", {}).items():
        if child.get("type") == "object" and "properties" in child:
            yield from prose(child, (*path, name))
        text = child.get("items") if child.get("type") == "array" else child
        open_text = isinstance(text, dict) and text.get("type") == "string" and not {"pattern", "format"} & set(text)
        if name in required and open_text and text and text["maxLength"] >= SHORTEST_PROSE:
            yield (*path, name), child


def instruction(path: Path, node: Schema) -> str:
    """Return the sentence that asks for a field."""
    name = " ".join(path).replace("_", " ")
    described = plain(node.get("description", ""))[:160]
    wanted = f"{name} ({described})" if described else name
    return f"List the {wanted}, one per line." if node["type"] == "array" else f"Write the {wanted}."


def as_string(text: str, node: Schema, *, cut: bool) -> str | None:
    """Return a text as the value of a string field, shortened to a full sentence; None if it does not fit."""
    text, most, least = text.strip(), node["maxLength"], node.get("minLength", 0)
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if cut or len(text) > most:
        text = uncut(text[:most], least)
    return text if text and least <= len(text) <= most else None


def as_items(text: str, node: Schema, *, cut: bool) -> list[str] | None:
    """Return the lines of a text as the items of a list field; None if they are too few."""
    lines = [BULLET.sub("", line).replace("**", "").strip() for line in text.splitlines()]
    items = [line for line in dict.fromkeys(lines) if line and not line.endswith(":")]
    if cut and len(items) > 1:
        items.pop()
    fitting = [as_string(item, node["items"], cut=False) for item in items]
    found = [item for item in fitting if item is not None][: node["maxItems"]]
    return found if found and len(found) >= node["minItems"] else None


def remaining(schema: Schema, parts: Mapping[Path, Any], path: Path = ()) -> Schema | None:
    """Return what is left of a schema when `parts` and constants are taken out; None if that is nothing."""
    if path in parts or "const" in schema:
        return None
    if "properties" not in schema:
        return schema
    left = {name: remaining(child, parts, (*path, name)) for name, child in schema["properties"].items()}
    kept = {name: child for name, child in left.items() if child is not None}
    if not kept:
        return None
    return {**schema, "properties": kept, "required": [name for name in schema["required"] if name in kept]}


def filled(schema: Schema, generated: Any, parts: Mapping[Path, Any], path: Path = ()) -> Any:
    """Return the whole value: parts, constants and what was generated, in the order of the schema."""
    if path in parts:
        return parts[path]
    if "const" in schema:
        return schema["const"]
    if "properties" not in schema:
        return generated
    value = {}
    for name, child in schema["properties"].items():
        inside = (*path, name)
        settled = any(part[: len(inside)] == inside for part in parts)
        if settled or name in generated or name in schema["required"]:
            value[name] = filled(child, generated.get(name, {}), parts, inside)
    return value
