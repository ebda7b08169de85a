"""Reads and checks the agent files of a folder: YAML front matter and a system prompt, in the format of Claude Code's sub-agents.

A file in that format works unchanged: a name becomes a slug, fields we do not use are ignored, other Markdown is skipped. One bad
file must not hide what is wrong in the others, nor stop a run that does not need it, so reading collects problems.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from outlast.agents.delegation.naming import delegates, faults
from outlast.agents.front_matter import FrontMatterError, decoded, fields_of, header_of, line_of
from outlast.file_names import readable

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")

MODEL, CANNED, PERSON = "model:", "say:", "person"
"""What a fallback may be besides an agent's name."""

EVERY_TOOL = "*"
_EVERY = frozenset({"*", "all", "all tools"})
_APART = re.compile(r",(?![^()]*\))")
"""A comma between two names; one in brackets belongs to a name: `Bash(git diff, git log)`."""

MOST_FILES = 5000

DEFAULTS = Path(__file__).parent / "defaults"
"""The agents that the library's own patterns ask for; a project's agents are laid over them."""


def slug(name: str) -> str:
    """Turn a name as people write it into one that runs use: `Frontend Developer` is `frontend-developer`."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")


def _as_names(value: object) -> object:
    """Read names of tools: with commas, with blanks, as a list, or as a mapping of names to yes and no."""
    if isinstance(value, Mapping):
        return tuple(str(name) for name, wanted in value.items() if wanted is True)
    if isinstance(value, str):
        if value.strip().casefold() in _EVERY:
            return (EVERY_TOOL,)
        names = _APART.split(value)
        names = value.split() if len(names) == 1 and "(" not in value else names
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if isinstance(value, list | tuple):
        # `- Bash(git commit -m: all)` is a mapping to YAML.
        parts = [next(iter(each.items())) if isinstance(each, Mapping) and len(each) == 1 else each for each in value]
        return tuple(f"{each[0]}: {each[1]}" if isinstance(each, tuple) else each for each in parts)
    return value


def _as_chain(value: object) -> object:
    # A canned answer may hold commas, so a text is one link and several need a YAML list.
    links = [value] if isinstance(value, str) else value or ()
    return tuple(_link(each) for each in links) if isinstance(links, list | tuple) else links


def _link(value: object) -> object:
    if not isinstance(value, str) or value.strip() == PERSON or value.strip().startswith((MODEL, CANNED)):
        return value.strip() if isinstance(value, str) else value
    return slug(value) or value.strip()


def _as_agents(value: object) -> object:
    """Read names of agents as those of tools are read; `true` and `false` stay."""
    names = value if isinstance(value, bool) else _as_names(str(value) if isinstance(value, int | float) else value)
    return tuple(slug(str(each)) or str(each) for each in names) if isinstance(names, tuple) else names


class FrontMatter(BaseModel):
    """The fields of an agent file; `timeout` in seconds, `max_tokens` for one answer.

    `fallback` is who is asked instead when the agent fails, one or a list: another agent, `model:NAME` (this agent on
    another model), `person`, or `say: TEXT` (a canned answer). `without` are tools that it may not use although `tools`
    names their server or all of them. `agents` are others that it may ask as it calls a tool; `handoff` are those to whom
    it hands its conversation over instead (`true`: all of `agents`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=NAME.pattern)
    description: str = Field(min_length=1)
    model: str = Field(default="inherit", min_length=1)
    tools: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        default=(), validation_alias=AliasChoices("tools", "allowedTools", "allowed-tools", "allowed_tools")
    )
    without: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(
        default=(), validation_alias=AliasChoices("disallowedTools", "disallowed-tools", "disallowed_tools")
    )
    fallback: Annotated[tuple[str, ...], BeforeValidator(_as_chain)] = ()
    agents: Annotated[tuple[str, ...], BeforeValidator(_as_agents)] = ()
    handoff: Annotated[bool | tuple[str, ...], BeforeValidator(_as_agents)] = False
    max_tokens: int = Field(default=8192, gt=0)
    timeout: float = Field(default=300.0, gt=0, le=86_400)
    temperature: float | None = Field(default=None, ge=0, le=1)


@dataclass(frozen=True)
class AgentFile:
    """One agent as its file says it; `lines` are those of its front matter, `title` its name as it is written there."""

    path: Path
    front: FrontMatter
    prompt: str
    lines: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True)
class Problem:
    """What is wrong in a file, at which line, and how to fix it; `agent` is whom a run would ask for by this file.

    A `notice` needs nothing to be done: the file is no agent, or is not needed.
    """

    path: Path
    line: int
    message: str
    agent: str = ""
    notice: bool = False

    def __str__(self) -> str:
        return readable(f"{self.path}:{self.line}: {self.message}")


def read_agents(directory: Path, defaults: Path | None = None) -> tuple[list[AgentFile], list[Problem]]:
    """Read every `*.md` of a folder and of those in it, sorted by name; bad files become problems and the rest is returned.

    Hidden files and folders are left out. Of several agents of one name, the first counts. Agents of the folder `defaults` are
    added where `directory` has no file for their names, not even one that cannot be read.
    """
    paths = agent_paths(directory)
    agents: dict[str, AgentFile] = {}
    problems: list[Problem] = []
    if not paths:
        message = "no agent files here; add one as <name>.md, or set AGENTS_DIR"
        problems.append(Problem(directory, 1, message, notice=defaults is not None))
    for path in paths:
        found, wrong = _read_agent(path)
        problems += wrong
        if found is None:
            continue
        first = agents.setdefault(found.front.name, found)
        if first is not found:
            line = line_of(found.lines, "name")
            text = f"name '{found.front.name}' is taken by {first.path.relative_to(directory)}; choose another"
            problems.append(Problem(path, line, text))
    taken = agents.keys() | {problem.agent for problem in problems if not problem.notice}
    for path in agent_paths(defaults) if defaults else ():
        found, _ = _read_agent(path)
        if found is not None and found.front.name not in taken:
            agents[found.front.name] = found
    unread = {problem.agent for problem in problems}
    problems += _fallbacks(list(agents.values()), unread)
    for name, field, text in faults({name: agent.front for name, agent in agents.items()}, unread):
        problems.append(Problem(agents[name].path, line_of(agents[name].lines, field), text, name))
    return sorted(agents.values(), key=lambda agent: agent.front.name), problems


def agent_paths(directory: Path) -> list[Path]:
    """Return the agent files of a folder and of those in it, sorted, at most `MOST_FILES`."""
    found: list[Path] = []
    for folder, inner, names in os.walk(directory):
        # Hidden files are an editor's or an archive's own (`.#writer.md`, `._writer.md`).
        inner[:] = [name for name in inner if not name.startswith(".") and not name.endswith(".md")]
        # A folder named like an agent file is reported as a folder.
        names += [name for name in os.listdir(folder) if name.endswith(".md") and (Path(folder) / name).is_dir()]
        found += [Path(folder, name) for name in names if name.endswith(".md") and not name.startswith(".")]
        if len(found) >= MOST_FILES:
            break
    return sorted(dict.fromkeys(found))[:MOST_FILES]


def _read_agent(path: Path) -> tuple[AgentFile | None, list[Problem]]:
    try:
        lines = decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        text = f"not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8"
        return None, [Problem(path, 1, text, slug(path.stem))]
    except OSError as error:
        text = f"cannot be read ({error.strerror}); make it readable, or move it elsewhere"
        return None, [Problem(path, 1, text, slug(path.stem))]
    try:
        header = header_of(lines)
        if header is None:
            text = "no front matter; begin the file with a line '---', the fields, and a line '---', if it is an agent"
            return None, [Problem(path, 1, text, slug(path.stem), notice=True)]
        fields = fields_of(header)
    except FrontMatterError as error:
        return None, [Problem(path, error.line, str(error), _called(path, lines))]
    title = fields.get("name")
    if isinstance(title, str) and title.strip():
        fields["name"] = slug(title) or slug(path.stem)
    try:
        front = FrontMatter.model_validate({str(name): value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        name = _called(path, lines)
        return None, [Problem(path, line_of(lines, _key(found)), _fix(found), name) for found in error.errors()]
    prompt = "\n".join(lines[len(header) + 2 :]).strip()
    if not prompt:
        text = "no system prompt; write it below the second '---'"
        return None, [Problem(path, len(header) + 2, text, front.name)]
    return AgentFile(path, front, prompt, tuple(lines[: len(header) + 1]), str(title)), []


def _called(path: Path, lines: Sequence[str]) -> str:
    """Return the agent name of a file that cannot be read: the name in its front matter, or the file's own."""
    written = next((line.removeprefix("name:") for line in lines[:50] if line.startswith("name:")), "")
    return slug(written) or slug(path.stem)


def _key(found: Mapping[str, Any]) -> str:
    return str(found["loc"][0]) if found["loc"] else ""


def _fix(found: Mapping[str, Any]) -> str:
    field = _key(found) or "front matter"
    if found["type"] == "missing":
        return f"the field '{field}' is missing; add '{field}: …'"
    if field == "name":
        return "name: use lower-case letters, digits, '-' and '_' only"
    return f"{field}: {found['msg'][0].lower()}{found['msg'][1:]}, not {found['input']!r}"


def _fallbacks(agents: Sequence[AgentFile], unread: Iterable[str]) -> Iterator[Problem]:
    """Report fallbacks to agents that do not exist; a file that cannot be read is reported as such."""
    following = {agent.front.name: next_agents(agent) for agent in agents}
    known = {*following, *unread}
    for agent in agents:
        line = line_of(agent.lines, "fallback")
        for name in following[agent.front.name]:
            if name not in known:
                text = (
                    f"fallback '{name}' is not an agent; choose one of {', '.join(sorted(following))}, "
                    "or write 'model:NAME', 'person' or 'say: TEXT'"
                )
                yield Problem(agent.path, line, text, agent.front.name)
        if circle := _circle(agent.front.name, following):
            text = f"the fallbacks go in a circle ({' → '.join(circle)}); drop one of them"
            yield Problem(agent.path, line, text, agent.front.name)


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
    """Return the named agents, and all whom their fallbacks lead to and whom they may ask."""
    found = {agent.front.name: agent for agent in agents}
    asked = delegates({name: agent.front for name, agent in found.items()})
    following = {name: [*next_agents(agent), *asked[name].agents] for name, agent in found.items()}
    wanted: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += following.get(name, ())
    return wanted
