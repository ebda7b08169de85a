"""The command line of this application: `python starter.py --help`. It mounts the commands of `outlast.cli`, of `cli` and of the
example in `samples/refund`.
"""

from typing import NoReturn

import typer

from cli import COMMAND_LINE, results, start
from outlast.cli import app
from samples.refund import command as refund


def build_app() -> typer.Typer:
    """Build the app with all commands."""
    results.register()
    return app.build_app(COMMAND_LINE, [start, refund])


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return app.run(build_app(), arguments)


def main() -> NoReturn:
    """Run the command line and leave."""
    app.leave(build_app())


if __name__ == "__main__":
    main()
