"""The commands that run things: `up` (the embedded stack) and `demo` (the main job on it, with a crash in the middle).

The trap: everything but typer is imported when a command runs, so that `--help` stays quick.
"""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `up` and `demo`."""
    app.command()(up)
    app.command()(demo)


def up(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of Temporal; 0 is any.")] = None,
    ui_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the Web UI; 0 is any.")] = None,
    worker: Annotated[bool, typer.Option(help="Run a worker.")] = True,
    model: Annotated[bool, typer.Option(help="Run the local model where no other is configured.")] = True,
) -> None:
    """Run Temporal with its Web UI, the local model and a worker. Ctrl-C ends all; history is kept in STATE_DIR.

    Ports that are not given are 7233 and 8233 where they are free, else those of the last time, or free ones.
    """
    from cli.embedded.commands import run_up
    from cli.embedded.stack import Wishes

    wishes = Wishes(port=port, ui_port=ui_port, worker=worker, model=model)
    raise typer.Exit(run_up(wishes))


def demo(
    kill: Annotated[bool, typer.Option(help="Kill the worker in the middle, to show that the run goes on.")] = True,
    tour: Annotated[bool, typer.Option(help="Show the other patterns, too.")] = True,
    showcase: Annotated[
        bool,
        typer.Option("--showcase", help="Show all patterns but documents, with recorded answers: no model is asked."),
    ] = False,
) -> None:
    """Analyse the sample documents, with a crash in the middle. Starts what does not run yet, and ends that again.

    The other patterns have recorded answers where the local model would be asked.
    """
    from cli.embedded.commands import Showing, run_demo

    raise typer.Exit(run_demo(Showing(kill=kill, tour=tour or showcase, showcase=showcase)))
