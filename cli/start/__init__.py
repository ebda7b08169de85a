"""The commands that start work, one file each; `agents`, which shows who does it, and `train-router`, which teaches."""

import typer

from cli.demo.command import demo
from cli.start.agent import agent
from cli.start.agents import agents
from cli.start.consensus import consensus
from cli.start.document import document
from cli.start.plan import plan
from cli.start.research import research
from cli.start.route import route
from cli.start.staged import staged
from cli.start.train_router import train_router

COMMANDS = (demo, document, plan, staged, route, train_router, research, consensus, agent, agents)


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    for command in COMMANDS:
        app.command()(command)
