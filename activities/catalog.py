"""Reads `agents/*.md`: YAML front matter and a system prompt, in the format of Claude Code's sub-agents.

A file in that format works unchanged: fields we do not use are ignored, and a description need not be quoted, because many
such files hold whole examples in it, which is no YAML. The trap: a catalog is read once per run and recorded, so editing a
file never changes a run that has started.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from temporalio import activity

from activities.content import ContentStore
from activities.contracts import AgentCard, Catalog, CatalogRequest, Part
from activities.errors import ErrorKind, final
from activities.llm.base import ModelTable

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
FENCE = "---"

FIELDS = re.compile(
    r"(name|description|model|tools|color|skills|hooks|memory|effort|background|isolation|[a-z]+[A-Z]\w*"
    r"|fallback|max_tokens|timeout|temperature):"
)
"""A line that begins a field, ours or one of the format's; any other line belongs to the field above it."""

LOOSE = "description"
"""The field that is read as plain text where it is no YAML."""

QUOTED_OR_NESTED = "\"'[{|>"
"""What a value begins with that is meant as YAML, so that a mistake in it must be told."""


def _as_names(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


class FrontMatter(BaseModel):
    """The fields of an agent file; `timeout` in seconds, `max_tokens` for one answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(pattern=NAME.pattern)
    description: str = Field(min_length=1)
    model: str = Field(default="inherit", min_length=1)
    tools: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = ()
    fallback: str | None = None
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
    paths = _paths(directory)
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


def _paths(directory: Path) -> list[Path]:
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
        return yaml.safe_load("\n".join(header)) or {}
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
        fields = yaml.safe_load("\n".join([*header[:begin], *[""] * (end - begin), *header[end:]])) or {}
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
    following = {agent.front.name: agent.front.fallback for agent in agents}
    problems = []
    for agent in agents:
        chain = [agent.front.name]
        while (target := following.get(chain[-1])) and target not in chain:
            chain.append(target)
        line = _line_of(agent.lines, ("fallback",))
        if agent.front.fallback and agent.front.fallback not in following:
            names = ", ".join(sorted(following))
            problems.append(
                Problem(agent.path, line, f"fallback '{agent.front.fallback}' is no agent; choose one of {names}")
            )
        elif target == agent.front.name:
            cycle = " → ".join([*chain, target])
            problems.append(Problem(agent.path, line, f"the fallbacks go in a circle ({cycle}); drop one of them"))
    return problems


def _with_fallbacks(names: Iterable[str], agents: Iterable[AgentFile]) -> set[str]:
    following = {agent.front.name: agent.front.fallback for agent in agents}
    wanted: set[str] = set()
    for name in names:
        target: str | None = name
        while target and target not in wanted:
            wanted.add(target)
            target = following.get(target)
    return wanted


CACHED_SECONDS = 60.0
"""How long a catalog is reused while no agent file changes; it is not for ever, so that prompts which a content store has
expired are written again."""

Stamp = tuple[tuple[str, int, int], ...]


def _stamp(directory: Path) -> Stamp:
    """Tell whether any agent file changed: name, time of change in ns, and size of each."""
    # A link that leads nowhere has no state of its own, and `read_agents` is to tell of it.
    found = ((path.name, path.stat() if path.exists() else path.lstat()) for path in _paths(directory))
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


class CatalogActivities:
    """Reads the catalog for a run."""

    def __init__(self, directory: Path, store: ContentStore, models: ModelTable, heartbeat: float) -> None:
        self._directory = directory
        self._store = store
        self._models = models
        self._heartbeat = heartbeat
        self._cached: dict[CatalogRequest, tuple[Stamp, float, Catalog]] = {}

    @activity.defn
    async def read_catalog(self, request: CatalogRequest) -> Catalog:
        """Read the agents and resolve their models.

        Raises CatalogInvalid with every problem found, or UnknownAgent if a requested one is not there (both final).
        """
        # Reading a dozen files as YAML costs more than the rest of a short run.
        stamp, now = _stamp(self._directory), time.monotonic()
        cached = self._cached.get(request)
        if cached is not None and cached[0] == stamp and now - cached[1] < CACHED_SECONDS:
            return cached[2]
        catalog = await self._read(request)
        self._cached[request] = (stamp, now, catalog)
        return catalog

    async def _read(self, request: CatalogRequest) -> Catalog:
        agents, problems = read_agents(self._directory)
        if problems:
            raise final(ErrorKind.CATALOG_INVALID, "\n".join(map(str, problems)))
        names = [agent.front.name for agent in agents]
        unknown = [name for name in request.agents if name not in names]
        if unknown:
            raise final(ErrorKind.UNKNOWN_AGENT, f"no agent named {', '.join(unknown)}; there are {', '.join(names)}")
        wanted = [agent for agent in agents if agent.front.name in _with_fallbacks(request.agents or names, agents)]
        return Catalog(agents=tuple([await self._card(agent) for agent in wanted]), heartbeat=self._heartbeat)

    async def _card(self, agent: AgentFile) -> AgentCard:
        front = agent.front
        model = self._models.resolve(front.model)
        spec = self._models.spec(model)
        return AgentCard(
            name=front.name,
            description=front.description,
            model=model,
            window=spec.window,
            max_tokens=min(front.max_tokens + spec.thinking, spec.max_output),
            timeout=front.timeout,
            system=Part(ref=await self._store.put(agent.prompt.encode())),
            fallback=front.fallback,
            tools=front.tools,
            temperature=front.temperature,
            continuations=spec.continuations,
        )
