"""The agents as their files say them: as data, and as the page of `starter.py agents`."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import RenderableType

from activities.agent_files import AgentFile, Problem
from activities.file_names import readable
from cli.pages import row, table


def agents_data(
    agents: Sequence[AgentFile], problems: Sequence[Problem], resolve: Callable[[str], str]
) -> dict[str, Any]:
    """Return agents and problems as JSON data; `resolved` is the model that an alias means here, by `resolve`."""
    return {
        "agents": [
            {
                "name": agent.front.name,
                "title": agent.title,
                "file": readable(str(agent.path)),
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


def agents_page(agents: Sequence[dict[str, Any]]) -> list[RenderableType]:
    """Show the agents."""
    made = table("name", "model", "tools", "fallback", "description")
    for agent in agents:
        same = agent["model"] == agent["resolved"]
        model = agent["model"] if same else f"{agent['model']} → {agent['resolved']}"
        title = agent["title"]
        name = agent["name"] if title == agent["name"] else f"{agent['name']} ({title})"
        row(made, name, model, ", ".join(agent["tools"]), ", ".join(agent["fallback"]), agent["description"])
    return [made] if agents else []
