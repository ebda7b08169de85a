"""Reads the front matter of an agent file: YAML, and where a value is no YAML, the text that it plainly is.

Many files in the format of Claude Code's sub-agents are no YAML: a description holds whole dialogues with `: ` and `#`,
`tools: *` is an alias to YAML, a hint reads `[file] [line]`. One such value must not cost the other fields.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from outlast.documents.formats.plain_yaml import read_yaml

FENCE = "---"

KEYS = frozenset(
    {
        *(
            "name",
            "description",
            "model",
            "tools",
            "fallback",
            "max_tokens",
            "timeout",
            "temperature",
            "agents",
            "handoff",
        ),
        # Claude Code's, beside those in camel case, and those of public collections
        *("color", "skills", "hooks", "memory", "effort", "background", "isolation"),
        *("author", "capabilities", "category", "date", "domain", "emoji", "license", "metadata", "mode", "permission"),
        *("priority", "role", "tags", "triggers", "type", "version", "vibe"),
    }
)
FIELD = re.compile(r"([a-z_]+|[a-z]+[A-Z]\w*|[a-z]+(?:-[a-z]+)+):(?=\s|$)")
"""What may begin a field at the margin, if it is one of `KEYS` or no plain word; other lines belong to the field above."""

TEXTS = ("name", "description")
"""The fields that are read as plain text where they are no YAML."""

NAMES = ("tools", "allowedTools", "allowed-tools", "disallowedTools")
"""The fields that are read as names with commas where they are no YAML, unless they are written as a list of YAML."""

READ = frozenset({*TEXTS, *NAMES, "model", "fallback", "max_tokens", "timeout", "temperature", "agents", "handoff"})
"""The fields that mean something here: a mistake in any other is none of ours."""

COMMENT = re.compile(r"\s#")
NOT_PLAIN = "\"'[{|>"
"""What a value begins with that is not a plain scalar to YAML."""


class FrontMatterError(ValueError):
    """The front matter cannot be read; `line` counts from 1 within the file."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def decoded(data: bytes) -> list[str]:
    """Return the lines of a file in UTF-8 or, with its mark, UTF-16; raises UnicodeDecodeError for anything else."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if wide else "utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def header_of(lines: Sequence[str]) -> Sequence[str] | None:
    """Return the lines between the fences, None where the file has no front matter; raises FrontMatterError if it has no end."""
    if lines[0].rstrip() != FENCE:
        return None
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if end is None:
        raise FrontMatterError(1, "no front matter that ends; write a line '---' below its fields")
    return lines[1:end]


def fields_of(header: Sequence[str]) -> dict[str, Any]:
    """Read the fields; raises FrontMatterError that names the line."""
    blocks = _blocks(header)
    try:
        found = read_yaml("\n".join(header))
    except (yaml.YAMLError, ValueError):
        if not blocks:
            raise _wrong_shape() from None
        return {key: value for key, at, block in blocks for value in [_field(key, at, block)] if value is not None}
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _wrong_shape()
    return {**found, **_uncut(found, blocks)}


def line_of(lines: Sequence[str], field: str) -> int:
    """Return the line of a field, from 1; 1 where it is not there."""
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{field}:")), 1)


def _blocks(header: Sequence[str]) -> list[tuple[str, int, Sequence[str]]]:
    """Cut the header into its fields: key, index of its first line, its lines."""
    starts = [
        (found[1], number)
        for number, line in enumerate(header)
        if (found := FIELD.match(line)) and (found[1] in KEYS or not found[1].islower() or "-" in found[1])
    ]
    ends = [*(number for _, number in starts), len(header)][1:]
    return [(key, begin, header[begin:end]) for (key, begin), end in zip(starts, ends, strict=True)]


def _field(key: str, at: int, block: Sequence[str]) -> Any:
    """Read one field by itself; None where it is empty, or nothing that we read."""
    plain = _plain(key, block)
    try:
        found = read_yaml("\n".join(block))
        return found.get(key) if isinstance(found, Mapping) else None
    except (yaml.YAMLError, ValueError) as error:
        if key in TEXTS:
            return _unquoted(plain)
        if key in NAMES and not plain.startswith(("[", "{")):
            return (
                [_unquoted(line.strip("- \t")) for line in plain.split("\n")]
                if plain.startswith("-")
                else _unquoted(plain)
            )
        if key not in READ:
            return None
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        hint = "put a value that contains ': ' or begins with a special character in quotes"
        line = at + 2 + (min(mark.line, len(block) - 1) if mark else 0)
        raise FrontMatterError(line, f"the front matter is not YAML ({reason}); {hint}") from None


def _uncut(found: Mapping[Any, Any], blocks: Sequence[tuple[str, int, Sequence[str]]]) -> dict[str, str]:
    """Give a description back what YAML took for a comment: ` #` begins none for those who write such files."""
    for key, _, block in blocks:
        plain = _plain(key, block)
        written = key == "description" and isinstance(found.get(key), str) and plain[:1] not in NOT_PLAIN
        if written and COMMENT.search(plain):
            return {key: plain}
    return {}


def _plain(key: str, block: Sequence[str]) -> str:
    """Return the text of a field, without the lines that are comments as a whole."""
    first = block[0].removeprefix(f"{key}:")
    return "\n".join([first, *(line for line in block[1:] if not line.startswith("#"))]).strip()


def _unquoted(text: str) -> str:
    if text[:1] in ("|", ">"):
        return text.partition("\n")[2].strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def _wrong_shape() -> FrontMatterError:
    return FrontMatterError(2, "the front matter must be 'field: value' lines")
