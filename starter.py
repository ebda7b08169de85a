"""Door 1, for people: `python starter.py --help`. It mounts the commands of `cli/` and leaves by one way.

The trap: see `cli.leaving`; nothing may run after it, and no other code may end this process.
"""

import gc
import os
import sys
from typing import NoReturn

import typer

from activities.private_files import PRIVATE
from cli import audit, codec_server, control, deciding, explain, leaving, namespaces, observe, operate, start, steering
from cli.inbox import command as inbox


def build_app() -> typer.Typer:
    """Build the app with all commands."""
    app = typer.Typer(
        name="starter",
        help="Start, watch and operate durable agentic workflows.",
        epilog="Exit codes: 0 done · 1 the workflow failed · 2 wrong usage · 3 no server or no worker · 130 Ctrl-C.",
        no_args_is_help=True,
        rich_markup_mode=None,  # plain help: the rich one imports for a quarter of a second
        add_completion=False,
    )
    for group in (
        operate,
        start,
        observe,
        explain,
        control,
        steering,
        deciding,
        inbox,
        audit,
        namespaces,
        codec_server,
    ):
        group.register(app)
    return app


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return leaving.run(build_app(), arguments)


def main() -> NoReturn:
    """Run the command line and leave."""
    # A command's imports make objects that all stay; looking for garbage among them costs an eighth of a short command,
    # and one look at all of them still a thirtieth.
    gc.set_threshold(200_000)
    os.umask(PRIVATE)  # what it writes (texts, reports, the state directory) is for its user alone
    leaving.leave(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
