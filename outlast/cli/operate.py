"""`up`, the embedded stack, and `gc`, which clears the content store.

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


def gc(
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete. Without it, only say what would be deleted.")
    ] = False,
    older_than: Annotated[
        str, typer.Option(help="Keep what is younger, or has been in the trash for less: 12h, 1d, 2w.", metavar="AGE")
    ] = "1d",
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="A namespace that uses the store; repeatable. Default: TEMPORAL_NAMESPACE alone."),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(help="Id of a namespace that no longer exists, as the refusal shows it.", metavar="ID"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Delete content that no open or retained run refers to. It may run beside workers, as often as you like.

    It goes to a trash first, from which a worker that needs it restores it; what has been there for AGE is deleted.
    """
    from outlast.cli.reaching import reaching
    from outlast.cli.runs.garbage import Wanted, run_gc

    wanted = Wanted(delete, older_than, tuple(namespace or ()), tuple(forget or ()))
    reaching(lambda reach: run_gc(reach, wanted, as_json=as_json))
