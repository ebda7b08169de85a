"""Agent files as public collections hold them: hundreds of variations of a table, each read or told in one line."""

from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from outlast.agents.files import AgentFile, Problem, read_agents, slug

TALK = (
    "Use this agent when a schema changes. Examples: <example>Context: A column is new. user: 'Add it: now' assistant: "
    "'I will ask the migrator: it knows' <commentary>Why: order matters # really</commentary></example>\\n\\n- never alone"
)


class Situation(NamedTuple):
    """Lines of a front matter below the name, and what must come of them: some fields, or the beginning of one line."""

    lines: str
    fields: dict[str, object] = {}  # noqa: RUF012  # a NamedTuple's default, never changed
    told: str = ""


SITUATIONS = {
    "plain": Situation("description: Migrates schemas.", {"description": "Migrates schemas.", "tools": ()}),
    "tools in a line": Situation("description: d\ntools: Read, Grep,Bash ", {"tools": ("Read", "Grep", "Bash")}),
    "tools apart by blanks": Situation("description: d\ntools: Read Grep", {"tools": ("Read", "Grep")}),
    "tools in a list": Situation("description: d\ntools: [Read, 'Grep']", {"tools": ("Read", "Grep")}),
    "tools below each other": Situation('description: d\ntools:\n  - Read\n  - "Grep"', {"tools": ("Read", "Grep")}),
    "every tool": Situation("description: d\ntools: *", {"tools": ("*",)}),
    "every tool in quotes": Situation('description: d\ntools: "*"', {"tools": ("*",)}),
    "all tools in words": Situation("description: d\ntools: All tools", {"tools": ("*",)}),
    "tools narrowed": Situation(
        "description: d\ntools: Bash(git diff:*, git log:*), Read", {"tools": ("Bash(git diff:*, git log:*)", "Read")}
    ),
    "tools narrowed in a list": Situation(
        "description: d\ntools:\n- Bash(git commit -m: *)\n- Read", {"tools": ("Bash(git commit -m: *)", "Read")}
    ),
    "tools switched": Situation(
        "description: d\nmode: subagent\ntools:\n  write: false\n  read: true", {"tools": ("read",)}
    ),
    "tools forbidden": Situation("description: d\ntools: *\ndisallowedTools: Write, Edit", {"without": ("Write", "Edit")}),
    "tools that are allowed": Situation("description: d\nallowedTools: Read, Grep", {"tools": ("Read", "Grep")}),
    "tools allowed as in skills": Situation("description: d\nallowed-tools: *", {"tools": ("*",)}),
    "agents that it may ask": Situation("description: d\ntools: Agent(a, b), Read", {"tools": ("Agent(a, b)", "Read")}),
    "empty tools": Situation("description: d\ntools:", {"tools": ()}),
    "MCP tools": Situation("description: d\ntools: mcp__db__query, mcp__web", {"tools": ("mcp__db__query", "mcp__web")}),
    "colon in the description": Situation("description: Knows: tides", {"description": "Knows: tides"}),
    "hash in the description": Situation("description: Knows C # and F#", {"description": "Knows C # and F#"}),
    "hash and colon": Situation("description: Knows: C # too", {"description": "Knows: C # too"}),
    "dialogue": Situation(f"description: {TALK}\nmodel: sonnet", {"description": TALK, "model": "sonnet"}),
    "dialogue at the margin": Situation(
        "description: Runs tests.\n\nContext: new code.\nuser: run: all\nassistant: yes\nmodel: haiku",
        {"description": "Runs tests.\n\nContext: new code.\nuser: run: all\nassistant: yes", "model": "haiku"},
    ),
    "quotes in quotes": Situation(
        'description: "Use it when they say "fix: this" or "help""\nmodel: opus',
        {"description": 'Use it when they say "fix: this" or "help"', "model": "opus"},
    ),
    "block": Situation("description: |\n  One: line\n  # two\nmodel: opus", {"description": "One: line\n# two\n"}),
    "folded block": Situation("description: >-\n  One: line\n  two\n", {"description": "One: line two"}),
    "block beside what is not YAML": Situation("description: |\n  One: line\ntools: *", {"description": "One: line"}),
    "comment lines": Situation("# made by hand\ndescription: d\n# model: opus\nmodel: haiku", {"description": "d"}),
    "keys of Claude Code": Situation(
        "description: d\ncolor: blue\npermissionMode: acceptEdits\nskills: a, b\nmemory: user\nmaxTurns: 5\n"
        "hooks:\n  PreToolUse:\n    - matcher: Bash\nmodel: inherit",
        {"model": "inherit"},
    ),
    "keys that are no YAML": Situation(
        "description: d\nargument-hint: [file] [line]\nemoji: @\ncolor: 2026-13-45\nmodel: haiku", {"model": "haiku"}
    ),
    "keys of collections": Situation(
        "description: d\nversion: 1.0\ntags: [a, b]\nmetadata:\n  x: {y: z}\nvibe: Bold: always\nauthor: @me",
        {"description": "d"},
    ),
    "another maker's model": Situation("description: d\nmodel: other/model-1", {"model": "other/model-1"}),
    "twice the same key": Situation("description: d\nmodel: opus\nmodel: haiku", {"model": "haiku"}),
    "no description": Situation("model: opus", told="the field 'description' is missing"),
    "a list that never ends": Situation("description: d: e\ntools: [Read", told="the front matter is not YAML"),
    "a wrong number": Situation("description: d\nmax_tokens: many", told="max_tokens: input should be a valid integer"),
}  # fmt: skip

ENDS = {"unix": "\n", "windows": "\r\n", "old mac": "\r"}
ENCODINGS = {"utf-8": "utf-8", "with a mark": "utf-8-sig", "utf-16": "utf-16"}
FENCES = {"bare": ("---", "---"), "with blanks": ("---  ", "--- ")}
BODIES = {"short": "You help.", "with rules": "# Role\n\nYou help.\n\n---\n\nname: not this one\n"}


def _all() -> dict[str, Situation]:
    """Name every variation by the name of its agent."""
    return {
        slug("-".join(parts)): SITUATIONS[parts[0]] for parts in product(SITUATIONS, ENDS, ENCODINGS, FENCES, BODIES)
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, AgentFile], dict[str, list[Problem]]]:
    """Write the whole corpus into nested folders and read it at once."""
    top = tmp_path_factory.mktemp("agents")
    for number, parts in enumerate(product(SITUATIONS, ENDS, ENCODINGS, FENCES, BODIES)):
        said, end, encoding, fence, body = parts
        name = slug("-".join(parts))
        opening, closing = FENCES[fence]
        text = f"{opening}\nname: {name}\n{SITUATIONS[said].lines}\n{closing}\n{BODIES[body]}"
        folder = top / f"{number % 7:02}-group" / said.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_bytes(text.replace("\n", ENDS[end]).encode(ENCODINGS[encoding]))
    agents, problems = read_agents(top)
    told: dict[str, list[Problem]] = {}
    for problem in problems:
        told.setdefault(problem.agent, []).append(problem)
    return {agent.front.name: agent for agent in agents}, told


def test_the_corpus_is_large(corpus: tuple[dict[str, AgentFile], dict[str, list[Problem]]]) -> None:
    agents, told = corpus
    assert len(agents) + len(told) == len(_all()) > 1000


@pytest.mark.parametrize("said", SITUATIONS)
def test_each_file_is_read_or_told_in_one_line(
    corpus: tuple[dict[str, AgentFile], dict[str, list[Problem]]], said: str
) -> None:
    agents, told = corpus
    situation = SITUATIONS[said]
    names = [slug("-".join((said, *rest))) for rest in product(ENDS, ENCODINGS, FENCES, BODIES)]
    for name in names:
        lines = [problem.message for problem in told.get(name, ())]
        if situation.told:
            assert name not in agents
            assert len(lines) == 1
            assert lines[0].startswith(situation.told)
            assert "\n" not in lines[0]
        else:
            assert lines == []
            found = {field: getattr(agents[name].front, field) for field in situation.fields}
            assert found == situation.fields
            assert agents[name].prompt.replace("# Role\n\n", "").startswith("You help.")


NOT_AGENTS = {
    "README.md": "# The team\n\nCopy these files.\n",
    "guides/use.md": "Just text\n---\nname: late\n---\n",
    "empty.md": "",
    "CLAUDE.md": "\n---\nname: late\ndescription: d\n---\nText\n",
}


@pytest.mark.parametrize("name", NOT_AGENTS)
def test_other_markdown_is_skipped_with_a_notice(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(NOT_AGENTS[name])
    (tmp_path / "a.md").write_text("---\nname: a\ndescription: d\n---\nYou help.\n")
    agents, [problem] = read_agents(tmp_path)
    assert [agent.front.name for agent in agents] == ["a"]
    assert (problem.notice, problem.path, problem.line) == (True, path, 1)
    assert problem.message.startswith("no front matter")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("---\nname: a\ndescription: d\n---", "no system prompt; write it below the second '---'"),
        ("---\nname: a\ndescription: d", "no front matter that ends; write a line '---' below its fields"),
    ],
)
def test_a_file_that_breaks_off_is_a_problem(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.md").write_text(text)
    agents, [problem] = read_agents(tmp_path)
    assert (agents, problem.message, problem.notice, problem.agent) == ([], told, False, "a")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Frontend Developer", "frontend-developer"),
        ("dotnet-framework-4.8-expert", "dotnet-framework-4-8-expert"),
        ("  C++ / Rust  ", "c-rust"),
        ("Développeur", "developpeur"),
        ("'Größe & Maß'", "grosse-mass"),
        ("前端开发", "file-of-its-own"),
    ],
)
def test_a_name_becomes_a_slug_and_is_kept_as_it_was_written(tmp_path: Path, title: str, name: str) -> None:
    (tmp_path / "File of its own.md").write_text(f"---\nname: {title}\ndescription: d\n---\nYou help.\n")
    [agent], problems = read_agents(tmp_path)
    assert (agent.front.name, agent.title.strip(), problems) == (name, title.strip(" '"), [])


def test_of_two_agents_of_one_name_the_first_counts(tmp_path: Path) -> None:
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.md").write_text(f"---\nname: The X\ndescription: of {folder}\n---\nYou help.\n")
    [agent], [problem] = read_agents(tmp_path)
    assert agent.front.description == "of a"
    assert problem.message == "name 'the-x' is taken by a/x.md; choose another"
