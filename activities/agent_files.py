"""Reads and checks `agents/*.md`: YAML front matter and a system prompt, in the format of Claude Code's sub-agents.

A file in that format works unchanged: fields we do not use are ignored, and a description need not be quoted, because many
such files hold whole examples in it, which is no YAML. The trap: one bad file must not hide what is wrong in the others, so
reading collects problems instead of raising.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from activities.formats.plain_yaml import read_yaml

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
FENCE = "---"

FIELDS = re.compile(
    r"(name|description|model|tools|color|skills|hooks|memory|effort|background|isolation|[a-z]+[A-Z]\w*"
    r"|fallback|max_tokens|timeout|temperature):"
)
"""A line that begins a field, ours or one of the format's; any other line belongs to the field above it."""

MODEL, CANNED, PERSON = "model:", "say:", "person"
"""What a fallback may be besides an agent's name."""

LOOSE = "description"
"""The field that is read as plain text where it is no YAML."""

QUOTED_OR_NESTED = "\"'[{|>"
"""What a value begins with that is meant as YAML, so that a mistake in it must be told."""


def _as_names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


def _as_chain(value: object) -> object:
    # A canned answer may hold commas, so a text is one link and several need a YAML list.
    return (value.strip(),) if isinstance(value, str) and value.strip() else value or ()


class FrontMatter(BaseModel):
    """The fields of an agent file; `timeout` in seconds, `max_tokens` for one answer.

    `fallback` is who is asked instead when the agent fails, one or a list: another agent, `model:NAME` (this agent on
    another model), `person`, or `say: TEXT` (a canned answer).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=NAME.pattern)
    description: str = Field(min_length=1)
    model: str = Field(default="inherit", min_length=1)
    tools: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = ()
    fallback: Annotated[tuple[str, ...], BeforeValidator(_as_chain)] = ()
    max_tokens: int = Field(default=8192, gt=0)
    timeout: float = Field(default=300.0, gt=0, le=86_400)
    temperature: float | None = Field(default=None, ge=0, le=1)


@dataclass(frozen=True)
class AgentFile:
    """One agent as its file says it; `lines` are those of its front matter, to find a field's line."""

    path: Path
    front: FrontMatter
    prompt: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """What is wrong in a file, at which line, and how to mend it."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def read_agents(directory: Path) -> tuple[list[AgentFile], list[Problem]]:
    """Read every `*.md` of a directory, sorted by name; bad files become problems and the rest is returned.

    Hidden files are left out.
    """
    paths = agent_paths(directory)
    if not paths:
        return [], [Problem(directory, 1, "no agent files here; add one as <name>.md, or set AGENTS_DIR")]
    agents: list[AgentFile] = []
    problems: list[Problem] = []
    for path in paths:
        agent, found = _read_agent(path)
        problems += found
        if agent:
            agents.append(agent)
    problems += _duplicates(agents) + _fallbacks(agents)
    return sorted(agents, key=lambda agent: agent.front.name), problems


def agent_paths(directory: Path) -> list[Path]:
    """Return the agent files of a directory, sorted."""
    # Hidden files are an editor's or an archive's own (`.#writer.md`, `._writer.md`).
    return sorted(directory.glob("[!.]*.md"))


def _read_agent(path: Path) -> tuple[AgentFile | None, list[Problem]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        return None, [Problem(path, 1, f"not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8")]
    except OSError as error:
        return None, [Problem(path, 1, f"cannot be read ({error.strerror}); make it readable, or move it elsewhere")]
    fences = [number for number, line in enumerate(lines) if line.rstrip() == FENCE][:2]
    if len(fences) < 2 or fences[0] != 0:
        return None, [
            Problem(path, 1, "no front matter; begin the file with a line '---', the fields, and a line '---'")
        ]
    header = lines[1 : fences[1]]
    try:
        fields = _fields(header)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or " ".join(str(error).split())
        hint = "put a value that contains ': ' or begins with a special character in quotes"
        return None, [Problem(path, mark.line + 2 if mark else 2, f"the front matter is not YAML ({reason}); {hint}")]
    if not isinstance(fields, dict):
        return None, [Problem(path, 2, "the front matter must be 'field: value' lines")]
    try:
        front = FrontMatter.model_validate({str(name): value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        return None, [Problem(path, _line_of(lines, found["loc"]), _mend(found)) for found in error.errors()]
    prompt = "\n".join(lines[fences[1] + 1 :]).strip()
    if not prompt:
        return None, [Problem(path, fences[1] + 1, "no system prompt; write it below the second '---'")]
    return AgentFile(path, front, prompt, tuple(lines[: fences[1]])), []


def _fields(header: Sequence[str]) -> object:
    """Read the front matter as YAML, and where only the description is none, take that as the text it is."""
    try:
        return read_yaml("\n".join(header)) or {}
    except yaml.YAMLError:
        starts = [number for number, line in enumerate(header) if FIELDS.match(line)]
        begin = next((number for number in starts if header[number].startswith(f"{LOOSE}:")), None)
        if begin is None:
            raise
        end = next((number for number in starts if number > begin), len(header))
        text = "\n".join(header[begin:end]).removeprefix(f"{LOOSE}:").strip()
        if not text or text[0] in QUOTED_OR_NESTED:
            raise
        # Blank lines in its place keep the line numbers of what comes after it.
        fields = read_yaml("\n".join([*header[:begin], *[""] * (end - begin), *header[end:]])) or {}
        return {**fields, LOOSE: text} if isinstance(fields, dict) else fields


def _line_of(lines: Sequence[str], location: tuple[int | str, ...]) -> int:
    field = str(location[0]) if location else ""
    return next((number for number, line in enumerate(lines, 1) if line.startswith(f"{field}:")), 1)


def _mend(found: Mapping[str, Any]) -> str:
    field = found["loc"][0] if found["loc"] else "front matter"
    if found["type"] == "missing":
        return f"the field '{field}' is missing; add '{field}: …'"
    if field == "name":
        return "name: use lower-case letters, digits, '-' and '_' only"
    return f"{field}: {found['msg'][0].lower()}{found['msg'][1:]}, not {found['input']!r}"


def _duplicates(agents: Iterable[AgentFile]) -> list[Problem]:
    first: dict[str, Path] = {}
    problems = []
    for agent in agents:
        name = agent.front.name
        if name in first:
            line = _line_of(agent.lines, ("name",))
            problems.append(Problem(agent.path, line, f"name '{name}' is taken by {first[name].name}; choose another"))
        first.setdefault(name, agent.path)
    return problems


def _fallbacks(agents: Sequence[AgentFile]) -> list[Problem]:
    following = {agent.front.name: next_agents(agent) for agent in agents}
    problems = []
    for agent in agents:
        line = _line_of(agent.lines, ("fallback",))
        unknown = [name for name in following[agent.front.name] if name not in following]
        problems += [
            Problem(
                agent.path,
                line,
                f"fallback '{name}' is no agent; choose one of {', '.join(sorted(following))}, "
                "or write 'model:NAME', 'person' or 'say: TEXT'",
            )
            for name in unknown
        ]
        if circle := _circle(agent.front.name, following):
            problems.append(
                Problem(agent.path, line, f"the fallbacks go in a circle ({' → '.join(circle)}); drop one of them")
            )
    return problems


def next_agents(agent: AgentFile) -> list[str]:
    """Return the agents among the fallbacks of an agent."""
    special = (MODEL, CANNED)
    return [link for link in agent.front.fallback if link != PERSON and not link.startswith(special)]


def _circle(start: str, following: Mapping[str, Sequence[str]]) -> list[str]:
    """Find the way from an agent back to itself, or nothing."""
    paths = [[start]]
    while paths:
        path = paths.pop()
        for name in following.get(path[-1], ()):
            if name == start:
                return [*path, name]
            if name not in path:
                paths.append([*path, name])
    return []


def with_fallbacks(names: Iterable[str], agents: Iterable[AgentFile]) -> set[str]:
    """Return the named agents and all whom their fallbacks lead to."""
    following = {agent.front.name: next_agents(agent) for agent in agents}
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += following.get(name, ())
    return wanted
