"""The command line: the commands that work on any run, and beside them those of an application.

outlast --help                                                         the commands of the library alone
sys.exit(run(build_app(CommandLine("python starter.py"), [start])))    with those of an application
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, Protocol

import typer

from outlast.cli import control, explain, leaving, namespaces, observe, operate
from outlast.cli.decisions import audit, inbox, steering
from outlast.cli.decisions import commands as deciding
from outlast.cli.web import codec_server
from outlast.command_line import CommandLine, use_command_line
from outlast.private_files import PRIVATE
from outlast.server import command as server


class Group(Protocol):
    """A module with commands."""

    def register(self, app: typer.Typer) -> None:
        """Mount them."""


def build_app(command_line: CommandLine | None = None, groups: Sequence[Group] = ()) -> typer.Typer:
    """Build the app with all commands, those of the application's groups among them; messages name its command line."""
    command_line = command_line or CommandLine()
    use_command_line(command_line)
    app = typer.Typer(
        name=command_line.name,
        help="Start, watch and operate durable agentic workflows.",
        epilog="Exit codes: 0 done · 1 the workflow failed · 2 wrong usage · 3 no server or no worker · 130 Ctrl-C.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help: the rich one imports for a quarter of a second
        add_completion=False,
    )
    operate.register(app)
    for group in groups:
        group.register(app)
    for module in (observe, explain, control, steering, deciding, inbox, server, audit, namespaces, codec_server):
        module.register(app)
    return app


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return leaving.run(app, arguments)


def leave(app: typer.Typer) -> NoReturn:
    """Run the command of this process's arguments, and end the process; nothing runs afterwards."""
    # A command's imports make objects that all stay; looking for garbage among them costs an eighth of a short command,
    # and one look at all of them still a thirtieth.
    gc.set_threshold(200_000)
    os.umask(PRIVATE)  # what it writes (texts, reports, the state directory) is for its user alone
    leaving.leave(run(app, sys.argv[1:]))


def main() -> NoReturn:
    """Run the command line of the library."""
    leave(build_app())
