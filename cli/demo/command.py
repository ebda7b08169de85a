"""`starter.py demo`: the main job on the stack, with a crash in the middle, and then a tour of the other patterns.

Everything but typer is imported when the command runs, so that `--help` stays quick.
"""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.devstack.board import Board
    from outlast.devstack.state import StackState
    from outlast.settings import Settings


def demo(
    kill: Annotated[bool, typer.Option(help="Kill the worker in the middle, to show that the run goes on.")] = True,
    tour: Annotated[bool, typer.Option(help="Show the other patterns, too.")] = True,
    showcase: Annotated[
        bool,
        typer.Option(
            "--showcase", help="Show all patterns in under a minute, with recorded answers: no model is asked."
        ),
    ] = False,
) -> None:
    """Analyse the sample documents, with a crash in the middle. Starts what does not run yet, and ends that again.

    The other patterns have recorded answers where the local model would be asked.
    """
    from outlast.cli.up import run_shown
    from outlast.devstack.stack import StackOptions

    async def shown(settings: "Settings", state: "StackState", board: "Board") -> int:
        return await _show(settings, state, board, kill=kill, tour=tour or showcase, showcase=showcase)

    # The showcase has a worker and answers of its own.
    raise typer.Exit(run_shown(StackOptions(worker=not showcase, model=not showcase), shown))


async def _show(
    settings: "Settings", state: "StackState", board: "Board", *, kill: bool, tour: bool, showcase: bool
) -> int:
    import os

    from cli.demo.demo import Demo
    from cli.demo.tour import Tour
    from outlast.cli.leaving import DONE, FAILED
    from outlast.client import connect
    from outlast.devstack.parts import local_environment

    os.environ.update(local_environment(state.address))
    client = await connect(settings)
    recorded = showcase or state.model_url is not None
    shown = showcase or await Demo(settings, client, state, board).run(kill=kill)
    toured = not tour or await Tour(settings, client, state, board, recorded=recorded, documents=showcase).run()
    return DONE if shown and toured else FAILED
