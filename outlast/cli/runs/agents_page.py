"""The agents as their files say them: as data, and as the page of `agents`."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.agents.files import DEFAULTS, AgentFile, Problem
from outlast.cli.rendering import safe
from outlast.file_names import readable


def agents_data(
    agents: Sequence[AgentFile], problems: Sequence[Problem], resolve: Callable[[str], str]
) -> dict[str, Any]:
    """Return agents and problems as JSON data.

    `resolved` is the model that an alias means here, by `resolve`; `default` tells the library's own agents from the project's.
    """
    return {
        "agents": [
            {
                "name": agent.front.name,
                "title": agent.title,
                "file": readable(str(agent.path)),
                "default": agent.path.parent == DEFAULTS,
                "description": agent.front.description,
                "model": agent.front.model,
                "resolved": resolve(agent.front.model),
                "tools": [*agent.front.tools, *(f"not {name}" for name in agent.front.without)],
                "fallback": list(agent.front.fallback),
            }
            for agent in agents
        ],
        "problems": [
            {"file": readable(str(one.path)), "line": one.line, "message": one.message, "notice": one.notice}
            for one in problems
        ],
    }


def agents_page(agents: Sequence[dict[str, Any]], width: int | None) -> list[RenderableType]:
    """Show each agent on one line, cut at `width` characters (None: not cut), and below what the models' names mean here.

    The library's own are marked; a project's file of the same name replaces one.
    """
    names = max((len(_named(agent)) for agent in agents), default=0)
    models = max((len(agent["model"]) for agent in agents), default=0)
    lines = []
    for agent in agents:
        tools = f" · tools: {', '.join(agent['tools'])}" if agent["tools"] else ""
        source = "default" if agent["default"] else "own"
        line = f"{_named(agent):<{names}}  {agent['model']:<{models}}  {source:<7}  {agent['description']}{tools}"
        line = " ".join(safe(line).splitlines())
        lines.append(Text(line if width is None or len(line) <= width else f"{line[: width - 1]}…"))
    means = {agent["model"]: agent["resolved"] for agent in agents if agent["model"] != agent["resolved"]}
    meanings = " · ".join(f"{name} → {model}" for name, model in sorted(means.items()))
    defaults = "default: brought by the library; a file of the same name in AGENTS_DIR replaces it"
    notes = [meanings, defaults if any(agent["default"] for agent in agents) else ""]
    return [*lines, *(Text(safe(note), style="dim") for note in notes if note)]


def _named(agent: dict[str, Any]) -> str:
    """Return the name that commands take, and the one in the file where that is another."""
    return agent["name"] if agent["title"] == agent["name"] else f"{agent['name']} ({agent['title']})"
