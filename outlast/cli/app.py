"""The command line: the commands that work on any run, and beside them those of an application.

outlast --help                                                                the commands of the library alone
sys.exit(run(build_app(CommandLine("python starter.py"), {"plan": "cli.start.plan:plan"})))   with those of an application
"""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import typer
from typer.core import TyperCommand

from outlast.cli import leaving
from outlast.command_line import CommandLine, use_command_line
from outlast.private_files import PRIVATE

if TYPE_CHECKING:
    from typer._click import Context

FIRST = {"up": "outlast.cli.operate:up"}
COMMANDS = {
    "list": "outlast.cli.observe:list_runs",
    "status": "outlast.cli.observe:status",
    "watch": "outlast.cli.observe:watch",
    "result": "outlast.cli.observe:result",
    "trace": "outlast.cli.observe:trace",
    "why": "outlast.cli.explain:why",
    "report": "outlast.cli.explain:report",
    "fork": "outlast.cli.forks.commands:fork",
    "retry": "outlast.cli.forks.commands:retry",
    "diff": "outlast.cli.forks.commands:diff",
    "schedule": "outlast.cli.schedules.commands:schedule",
    "cancel": "outlast.cli.control:cancel",
    "rollback": "outlast.cli.control:rollback",
    "answer": "outlast.cli.control:answer",
    "pause": "outlast.cli.decisions.steering:pause",
    "resume": "outlast.cli.decisions.steering:resume",
    "approve": "outlast.cli.decisions.commands:approve",
    "deny": "outlast.cli.decisions.commands:deny",
    "decide": "outlast.cli.decisions.commands:decide",
    "approver-token": "outlast.cli.decisions.commands:approver_token",
    "inbox": "outlast.cli.decisions.inbox:inbox",
    "serve": "outlast.server.command:serve",
    "serve-token": "outlast.server.command:serve_token",
    "audit": "outlast.cli.decisions.audit:audit",
    "replay": "outlast.cli.runs.replay:replay",
    "gc": "outlast.cli.operate:gc",
    "setup-namespace": "outlast.cli.namespaces:setup_namespace",
    "payload-key": "outlast.cli.web.codec_server:payload_key",
    "codec-server": "outlast.cli.web.codec_server:codec_server",
}
"""The commands of the library and where each stands; those of an application come between the two tables."""
NEVER_EMPTY = {"run_id", "one", "other", "gate", "who", "reason", "digest", "to", "question"}
"""Parameters that say which run, which gate, how much of it, or who: leaving one out means something else than it does here."""


class Command(TyperCommand):
    """A command that refuses an empty name: it comes from a shell variable that is not set, and would count as left out."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        """Parse as typer does, and refuse what is empty; raises LeavingError."""
        rest = super().parse_args(ctx, args)
        for each in self.params:
            source = ctx.get_parameter_source(each.name or "")
            given = ctx.params.get(each.name or "")
            if each.name not in NEVER_EMPTY or source is None or source.name != "COMMANDLINE":
                continue
            if isinstance(given, str) and not given.strip():
                named = each.opts[0] if each.param_type_name == "option" else str(each.metavar or each.name)
                raise leaving.LeavingError(
                    leaving.WRONG, f"{named} is empty; write one" + ("" if each.required else ", or leave it out")
                )
        return rest


def build_app(
    command_line: CommandLine | None = None,
    commands: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> typer.Typer:
    """Build the app with all commands; messages name its command line.

    Args:
        command_line: How people here type commands. Default: `outlast`.
        commands: Those of the application: each name with its place, `module:function`; or a group of commands, a `typer.Typer`.
        arguments: What the app will be given, if that is known: where it begins with a command, only that one is imported.
    """
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
    places = {**FIRST, **(commands or {}), **COMMANDS}
    another = arguments[:2] == ["schedule", "add"]  # it is given another command, and runs it
    asked = {name: place for name, place in places.items() if name in arguments[:1] and not another}
    for name, place in (asked or places).items():
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, cls=Command)(found)
    app.callback()(_nothing)
    return app


def _nothing() -> None:
    """Stand where options of all commands would; without it, typer takes an app of one command for that command."""


def run(app: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return leaving.run(app, arguments)


def leave(command_line: CommandLine | None = None, commands: Mapping[str, str] | None = None) -> NoReturn:
    """Run the command of this process's arguments, and end the process; nothing runs afterwards."""
    # A command's imports make objects that all stay; looking for garbage among them costs an eighth of a short command,
    # and one look at all of them still a thirtieth.
    gc.set_threshold(200_000)
    os.umask(PRIVATE)  # what it writes (texts, reports, the state directory) is for its user alone
    arguments = sys.argv[1:]
    leaving.leave(run(build_app(command_line, commands, arguments), arguments))


def main() -> NoReturn:
    """Run the command line of the library."""
    leave()
