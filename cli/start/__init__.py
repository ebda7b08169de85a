"""The commands that start work, one file each, and `agents`, which shows who does it."""

import typer

from cli.start.agent import agent
from cli.start.agents import agents
from cli.start.consensus import consensus
from cli.start.document import document
from cli.start.plan import plan
from cli.start.research import research
from cli.start.staged import staged

COMMANDS = (document, plan, research, consensus, staged, agent, agents)


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    for command in COMMANDS:
        app.command()(command)
