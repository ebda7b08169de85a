"""Agent files: Claude Code's work unchanged, and a bad one is told by file, line and how to mend it."""

from pathlib import Path

import pytest

from outlast.agents.delegation.naming import Delegates, delegates
from outlast.agents.files import DEFAULTS, AgentFile, Problem, read_agents, with_fallbacks
from outlast.consensus.votes import ConsensusRequest
from outlast.consensus.voting import PANEL
from outlast.contracts import PlanRequest
from outlast.routing.categories import DEFAULT_CATEGORIES
from outlast.routing.choosing import CLASSIFIER, ROUTER
from outlast.stages.contracts import StagedRequest
from outlast.stages.rules import DEFAULT_STAGES, LEAD
from tests.real_process import PROJECT

BODY = "\n---\nYou help.\n"


def written(directory: Path, *files: str) -> tuple[list[AgentFile], list[str]]:
    for number, text in enumerate(files):
        (directory / f"{number}.md").write_text(text, encoding="utf-8")
    agents, problems = read_agents(directory)
    return agents, [str(problem).removeprefix(f"{directory}/") for problem in problems]


def agent(name: str, *fields: str) -> str:
    return "\n".join(["---", f"name: {name}", f"description: Helps as {name}.", *fields]) + BODY


def test_our_own_agents_are_clean() -> None:
    """The application's, and those that the library brings; no name is in both."""
    agents, problems = read_agents(PROJECT / "agents", DEFAULTS)
    assert problems == []
    names = [agent.front.name for agent in agents]
    assert names == sorted(names)
    assert names == sorted(path.stem for folder in (PROJECT / "agents", DEFAULTS) for path in folder.glob("*.md"))
    assert all(len(agent.prompt) > 40 for agent in agents)


def test_the_library_brings_every_agent_that_its_patterns_ask_for() -> None:
    agents, problems = read_agents(DEFAULTS)
    assert problems == [], "their fallbacks are among them"
    fields = {**PlanRequest.model_fields, **StagedRequest.model_fields, **ConsensusRequest.model_fields}
    asked = {fields[name].default for name in ("planner", "fallback_agent", "judge", "consensus_agent")}
    asked |= {CLASSIFIER, ROUTER, LEAD, *(voter.agent for voter in PANEL), *(one.agent for one in DEFAULT_CATEGORIES)}
    asked |= {name for stage in DEFAULT_STAGES for name in (*stage.agents, stage.reviewer)}
    assert asked == {one.front.name for one in agents}


def test_a_projects_agents_are_laid_over_the_librarys(tmp_path: Path) -> None:
    own, base = tmp_path / "agents", tmp_path / "defaults"
    for folder, names in ((own, ("writer", "clerk")), (base, ("writer", "judge", "planner"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.md").write_text(agent(name))
    (own / "planner.md").write_text("---\nname: planner\n---\nText.")
    agents, problems = read_agents(own, base)
    assert [(one.front.name, one.path.parent.name) for one in agents] == [
        *(("clerk", "agents"), ("judge", "defaults"), ("writer", "agents"))
    ], "a file of the project's own that cannot be read is not replaced without a word"
    assert [one.agent for one in problems] == ["planner"]

    agents, [problem] = read_agents(tmp_path / "nowhere", base)
    assert [one.front.name for one in agents] == ["judge", "planner", "writer"]
    assert problem.notice
    assert "no agent files here" in problem.message


CODE_REVIEWER = """---
name: code-reviewer
description: Expert code review specialist. Proactively reviews code for quality. Use immediately after writing code.
tools: Read, Grep, Glob, Bash
model: inherit
color: blue
permissionMode: acceptEdits
---

You are a senior code reviewer.

When invoked:
1. Run git diff
---
2. Begin at once
"""

UNQUOTED = (
    "---\nname: docs-writer\n"
    "description: Use this agent when you need docs. Examples: <example>Context: The user wrote a function. "
    'user: "Here is it: def f()" assistant: "I\'ll use the docs-writer agent" <commentary>Why: it\'s new</commentary>'
    "</example>\\n\\n# not a comment\nmodel: sonnet\ncolor: green\n---\n\nYou write docs.\n"
)

SEVERAL_LINES = """---
name: test-runner
color: red
description: Use this agent when tests must run. Examples:

  <example>
  Context: The user changed code.
  user: "Run them: all"
  assistant: "I'll use test-runner: now"
  </example>

Context: this line stands at the margin: also a part.
tools:
  - Bash
  - "Read"
max_tokens: 100
---
You run tests.
"""


def test_claude_code_files_work_unchanged(tmp_path: Path) -> None:
    (reviewer, docs, runner), problems = written(tmp_path, CODE_REVIEWER, UNQUOTED, SEVERAL_LINES)
    assert problems == []
    assert (reviewer.front.model, reviewer.front.tools) == ("inherit", ("Read", "Grep", "Glob", "Bash"))
    assert reviewer.prompt.endswith("1. Run git diff\n---\n2. Begin at once")
    assert docs.front.description.startswith("Use this agent when you need docs. Examples: <example>Context: The user")
    assert docs.front.description.endswith("</example>\\n\\n# not a comment")
    assert (docs.front.model, docs.front.tools, docs.prompt) == ("sonnet", (), "You write docs.")
    assert 'user: "Run them: all"' in runner.front.description
    assert runner.front.description.endswith("at the margin: also a part.")
    assert (runner.front.tools, runner.front.max_tokens) == (("Bash", "Read"), 100)


def test_fields_left_out_or_empty_get_their_defaults(tmp_path: Path) -> None:
    (plain, empty), problems = written(tmp_path, agent("a"), agent("b", "model:", "tools:", "fallback: ~"))
    assert problems == []
    for front in (plain.front, empty.front):
        assert (front.model, front.tools, front.fallback, front.max_tokens) == ("inherit", (), (), 8192)
        assert (front.timeout, front.temperature) == (300, None)


@pytest.mark.parametrize(
    "tools", ["tools: Read,Grep , ,mcp__a__b", "tools: [Read, Grep, mcp__a__b]", "tools:\n- Read\n- Grep\n- mcp__a__b"]
)
def test_tools_are_a_list_or_a_line(tmp_path: Path, tools: str) -> None:
    (found,), problems = written(tmp_path, agent("a", tools))
    assert (found.front.tools, problems) == (("Read", "Grep", "mcp__a__b"), [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_editor_may_write_the_file(tmp_path: Path, end: str, mark: str) -> None:
    text = mark + (agent("a", "fallback: b") + "Näher\u2028zu.\n\n").replace("\n", end)
    (tmp_path / "a.md").write_bytes(text.encode())
    (tmp_path / "b.md").write_text(agent("b"))
    agents, problems = read_agents(tmp_path)
    assert problems == []
    assert agents[0].prompt == "You help.\nNäher\u2028zu."


BAD = [
    ("You help.\n", "0.md:1: no front matter; begin the file with a line '---'"),
    ("", "0.md:1: no front matter"),
    ("\n---\nname: a\ndescription: d\n---\nText\n", "0.md:1: no front matter"),
    ("---\nname: a\ndescription: d\n", "0.md:1: no front matter"),
    ("---\n---\nText\n", "0.md:1: the field 'name' is missing; add 'name: …'"),
    ("---\nname: a\n---\nText\n", "0.md:1: the field 'description' is missing; add 'description: …'"),
    ("---\nname: a\ndescription:\n---\nText\n", "0.md:3: the field 'description' is missing"),
    ("---\n- name\n---\nText\n", "0.md:2: the front matter must be 'field: value' lines"),
    ("---\njust words\n---\nText\n", "0.md:2: the front matter must be 'field: value' lines"),
    (agent('""'), "0.md:2: name: use lower-case letters, digits, '-' and '_' only"),
    (agent("7"), "0.md:2: name: use lower-case letters"),
    (agent("a", "max_tokens: many"), "0.md:4: max_tokens: input should be a valid integer"),
    (agent("a", "color: red", "max_tokens: 0"), "0.md:5: max_tokens: input should be greater than 0, not 0"),
    (agent("a", "timeout: .inf"), "0.md:4: timeout: input should be less than or equal to 86400"),
    (agent("a", "timeout: -1"), "0.md:4: timeout: input should be greater than 0"),
    (agent("a", "temperature: 2"), "0.md:4: temperature: input should be less than or equal to 1, not 2"),
    (agent("a", "tools: [Read, [Grep]]"), "0.md:4: tools: input should be a valid string, not ['Grep']"),
    (agent("a", "model: 5"), "0.md:4: model: input should be a valid string, not 5"),
    (agent("a", "fallback: a: b"), "0.md:4: the front matter is not YAML (mapping values are not allowed here); put a value"),
    (agent("a", "tools: [Read"), "0.md:4: the front matter is not YAML (expected ',' or ']'"),
    (agent("a", "model: \x07"), "0.md:4: the front matter is not YAML (unacceptable character"),
    (agent("a", "max_tokens: 2026-13-45"), "0.md:4: the front matter is not YAML (month must be in 1..12)"),
    ("---\nname: a\ndescription: Good: one\ntools: [Read\nmodel: x\n---\nText\n", "0.md:4: the front matter is not YAML"),
    ("---\nname: a\ndescription: d\n---\n \n", "0.md:4: no system prompt; write it below the second '---'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD, ids=range(len(BAD)))
def test_a_bad_file_is_told_and_the_others_are_read(tmp_path: Path, text: str, said: str) -> None:
    agents, problems = written(tmp_path, text, agent("good"))
    assert [found.front.name for found in agents] == ["good"]
    assert problems[0].startswith(said)
    assert all("\n" not in problem for problem in problems)


def test_files_that_cannot_be_read_at_all_are_told(tmp_path: Path) -> None:
    (tmp_path / "latin.md").write_bytes(agent("a").replace("Helps", "Hölps").encode("latin-1"))
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    agents, problems = read_agents(tmp_path)
    assert agents == []
    assert [(problem.path.name, problem.line) for problem in problems] == [
        ("folder.md", 1),
        ("gone.md", 1),
        ("latin.md", 1),
    ]
    assert "cannot be read (Is a directory)" in str(problems[0])
    assert "save the file as UTF-8" in str(problems[2])


@pytest.mark.parametrize("there", [True, False])
def test_no_agents_are_a_problem(tmp_path: Path, there: bool) -> None:
    directory = tmp_path / "agents"
    if there:
        directory.mkdir()
    message = "no agent files here; add one as <name>.md, or set AGENTS_DIR"
    assert read_agents(directory) == ([], [Problem(directory, 1, message)])


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    _, problems = written(tmp_path, agent("a"), agent("a").replace("name: a", "color: red\nname: a"))
    assert problems == ["1.md:3: name 'a' is taken by 0.md; choose another"]


def test_fallbacks_lead_somewhere(tmp_path: Path) -> None:
    a, b, c, d = (
        agent("a", "fallback: b"),
        agent("b", "color: red", "fallback: c"),
        agent("c", "fallback: b"),
        agent("d", "fallback: d"),
    )
    _, problems = written(tmp_path, a, b, c, d, agent("e", "fallback: nobody"), agent("f", "fallback: a"))
    assert problems == [
        "1.md:5: the fallbacks go in a circle (b → c → b); drop one of them",
        "2.md:4: the fallbacks go in a circle (c → b → c); drop one of them",
        "3.md:4: the fallbacks go in a circle (d → d); drop one of them",
        (
            "4.md:4: fallback 'nobody' is not an agent; choose one of a, b, c, d, e, f, "
            "or write 'model:NAME', 'person' or 'say: TEXT'"
        ),
    ]


def test_whom_agents_may_ask_is_read_from_their_files_and_from_claude_codes_tools(tmp_path: Path) -> None:
    agents, problems = written(
        tmp_path,
        agent("lead", "agents: [clerk, Legal Analyst]", "handoff: clerk", "tools: Read, Task"),
        agent("clerk", "tools: Write"),
        agent("legal-analyst"),
        agent("narrow", "tools: Agent(clerk, nobody), Read"),
        agent("any", "tools: Task"),
        agent("passing", "agents: clerk", "handoff: true"),
    )
    assert problems == []
    found = delegates({each.front.name: each.front for each in agents})
    assert found["lead"] == Delegates(("clerk", "legal-analyst"), ("clerk",), ("Read",))
    assert found["narrow"] == Delegates(("clerk",), (), ("Read",))
    assert found["any"] == Delegates(("clerk", "legal-analyst"), (), ()), "all who ask nobody themselves"
    assert found["passing"].handoffs == ("clerk",)
    assert found["clerk"] == Delegates(tools=("Write",))
    assert with_fallbacks(["lead"], agents) == {"lead", "clerk", "legal-analyst"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            ("agents: [a, x]", "color: red"),
            [
                "0.md:4: agents: 'a' names the agent itself",
                "0.md:4: agents: 'x' is not an agent; choose among a, b",
            ],
        ),
        (
            ("agents: b", "agents: a"),
            ["0.md:4: agents: agents ask one another in a circle (a → b → a)", "1.md:4: agents: agents ask"],
        ),
        (("agents: b", "handoff: a"), []),
        (("handoff: true", "color: red"), ["0.md:4: handoff: there is nobody to hand over to; name the agents in 'agents'"]),
        (("handoff: 3", "color: red"), ["0.md:4: handoff: "]),
    ],
)  # fmt: skip
def test_a_file_that_names_agents_wrongly_is_told_by_field_and_line(
    tmp_path: Path, fields: tuple[str, str], said: list[str]
) -> None:
    _, problems = written(tmp_path, agent("a", fields[0]), agent("b", fields[1]))
    assert len(problems) == len(said), problems
    assert all(problem.startswith(wanted) for problem, wanted in zip(problems, said, strict=True)), problems
