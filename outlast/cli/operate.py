"""`up`: the embedded stack.

Everything but typer is imported when a command runs, so that `--help` stays quick.
"""

from typing import Annotated

import typer


def up(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of Temporal; 0 is any.")] = None,
    ui_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the Web UI; 0 is any.")] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            help="Command that runs the worker, a program that calls run_worker. Default: python worker.py, where it is there.",
            metavar="COMMAND",
        ),
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no worker.")] = False,
    model: Annotated[bool, typer.Option(help="Run the local model where no other is configured.")] = True,
) -> None:
    """Run Temporal with its Web UI, the local model and a worker. Ctrl-C ends all; history is kept in STATE_DIR.

    Ports that are not given are 7233 and 8233 where they are free, else those of the last time, or free ones.
    """
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.up import run_up, worker_command
    from outlast.devstack.stack import StackOptions

    if worker is not None and no_worker:
        raise LeavingError(WRONG, "--worker and --no-worker contradict each other; leave one out")
    own = worker_command(worker) if worker is not None else ()
    options = StackOptions(port=port, ui_port=ui_port, worker=not no_worker, worker_command=own, model=model)
    raise typer.Exit(run_up(options))
