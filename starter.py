"""The command line of this application: `python starter.py --help`. It mounts the commands of `outlast.cli`, of `cli` and of the
example in `samples/refund`.
"""

from typing import NoReturn

import typer

from cli import COMMAND_LINE, results
from cli.start import COMMANDS
from outlast.cli import app
from outlast.cli.kinds import register_kind
from samples.refund import mounting as refund


def build_app() -> typer.Typer:
    """Build the app with all commands."""
    _register()
    return app.build_app(COMMAND_LINE, COMMANDS | refund.COMMANDS)


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    return app.run(build_app(), arguments)


def main() -> NoReturn:
    """Run the command line and leave."""
    _register()
    app.leave(COMMAND_LINE, COMMANDS | refund.COMMANDS)


def _register() -> None:
    results.register()
    register_kind(refund.KIND)


if __name__ == "__main__":
    main()
