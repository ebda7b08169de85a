"""From a request to prompt tokens (template, place of the document, wanted form), and the tidying of cut answers.

What the gateway itself has to say (the wanted form) stands at the end of the last user turn, where a model of this
size still heeds it. The system prompt stays first: put after the document, which would let all agents share the
document's tokens in the prompt cache, its words came back in the answers (5 of 6 sample documents read worse).

Control tokens (`<|im_end|>`) typed by a caller must stay text. So the template is filled with placeholders,
and template and content are turned into tokens apart.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outlast.devstack.local_model.dialect import Schema, plain
from outlast.devstack.local_model.engine import Engine
from outlast.devstack.local_model.errors import invalid
from outlast.devstack.local_model.messages import CountRequest, Tool

TAGGED = re.compile(r"<(part|document)\b[^>]*>\n?(.*?)\n?</\1>", re.DOTALL)
PLACEHOLDER = re.compile("\x02(\\d+)\x03")
SENTENCE_END = re.compile(r"(?<=[^\W\d][^\W\d])[.!?][\"'”’)]?(?=\s|$)")  # not the point of "$31." or "A."
LONGEST_DESCRIPTION = 120  # characters per field: more than that costs reading time and is not heeded


@dataclass(frozen=True)
class Prompt:
    """Tokens up to where the answer begins, and those that a choice is made on."""

    tokens: tuple[int, ...]
    document: tuple[int, ...]
    opening: tuple[int, ...]  # how a conversation without a system prompt begins


def around_document(text: str) -> tuple[str, str, str]:
    """Split a text into what stands before, in and after its document: the last tagged part, or the whole text."""
    tagged = list(TAGGED.finditer(text))
    if not tagged:
        return "", text, ""
    start, end = tagged[-1].span(2)
    return text[:start], text[start:end], text[end:]


def merged(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join neighbouring turns of one role, as the API does: many chat templates refuse them."""
    out: list[tuple[str, str]] = []
    for role, text in turns:
        if out and out[-1][0] == role:
            out[-1] = (role, f"{out[-1][1]}\n\n{text}")
        else:
            out.append((role, text))
    return out


class Renderer:
    """Turns requests into prompts for one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._skeletons: dict[tuple[str, ...], list[tuple[list[int], int]]] = {}

    async def prompt(self, request: CountRequest, instruction: str = "") -> Prompt:
        """Return the prompt of a request, `instruction` being what the gateway itself has to say about the answer."""
        turns = merged(request.turns())
        system = request.system_text()
        asked = max((i for i, (role, _) in enumerate(turns) if role == "user"), default=0)
        before, document, after = around_document(turns[asked][1])
        contents: list[tuple[str, ...]] = [(turn,) for _, turn in turns]
        contents[asked] = (before, document, f"{after}\n\n{instruction}" if instruction else after)
        roles = [role for role, _ in turns]
        if system:
            roles.insert(0, "system")
            contents.insert(0, (system,))
            asked += 1
        return await self._fill(roles, contents, asked)

    async def _fill(self, roles: Sequence[str], contents: Sequence[tuple[str, ...]], asked: int) -> Prompt:
        tokens: list[int] = []
        document: list[int] = []
        for template, index in await self._skeleton(tuple(roles)):
            tokens += template
            if index < 0:
                continue
            pieces = [await self._engine.tokens(text) for text in contents[index]]
            if index == asked:
                document = pieces[1]
            tokens += [token for piece in pieces for token in piece]
        opening = (await self._skeleton(("user",)))[0][0]
        if len(tokens) >= self._engine.window:
            raise invalid(f"prompt is too long: {len(tokens)} tokens > {self._engine.window - 1} maximum")
        return Prompt(tuple(tokens), tuple(document), tuple(opening))

    async def _skeleton(self, roles: tuple[str, ...]) -> list[tuple[list[int], int]]:
        """Return the template's own tokens, each stretch with the index of the content that follows it, or -1."""
        if roles not in self._skeletons:
            filled = await self._engine.template(
                [{"role": role, "content": f"\x02{index}\x03"} for index, role in enumerate(roles)]
            )
            pieces = PLACEHOLDER.split(filled)  # template, index, template, index, …, template
            indices = [int(index) for index in pieces[1::2]] + [-1]
            self._skeletons[roles] = [
                (await self._engine.tokens(piece, control=True, start=position == 0), index)
                for position, (piece, index) in enumerate(zip(pieces[::2], indices, strict=True))
            ]
            if len(self._skeletons) > 64:
                self._skeletons.pop(next(iter(self._skeletons)))
        return self._skeletons[roles]


def form(schema: Schema) -> str:
    """Return in one line which JSON fields are wanted; empty if the schema has no named fields to write."""
    fields = [
        f"{name} ({description})" if description else name
        for name, child in schema.get("properties", {}).items()
        if "const" not in child
        for description in [plain(child.get("description", ""))[:LONGEST_DESCRIPTION]]
    ]
    return f"Reply with JSON, with these fields: {'; '.join(fields)}." if fields else ""


def call(tool: Tool, schema: Schema) -> str:
    """Say in a line or two that the answer is a call of `tool`."""
    return f"Call the tool {tool.name} ({plain(tool.description)[:LONGEST_DESCRIPTION]}). {form(schema)}".strip()


def tidied(value: Any, schema: Schema) -> Any:
    """Return the answer with every string that its bound has cut shortened to its last full sentence, or word."""
    if isinstance(value, dict):
        children = schema.get("properties", {})
        return {name: tidied(item, children.get(name, {})) for name, item in value.items()}
    if isinstance(value, list):
        items = schema.get("items")
        return [tidied(item, items) for item in value] if isinstance(items, dict) else value
    if isinstance(value, str) and "pattern" not in schema and len(value) >= schema.get("maxLength", len(value) + 1):
        return uncut(value, schema.get("minLength", 0))
    return value


def uncut(text: str, least: int) -> str:
    """Return a cut text without its last, broken sentence, or without its last word."""
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    if ends and ends[-1] >= max(least, len(text) // 3):
        return text[: ends[-1]]
    words = text.rsplit(" ", 1)[0].rstrip(" ,;:-")
    return words if len(words) >= max(least, len(text) // 3) else text
