"""The commands that explain a run from its history: `why`. A worker makes them say more, but they need none."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.reaching import Reach
    from workflows.contracts import RunStatus


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command()(why)


def why(
    run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")],
    step: Annotated[str | None, typer.Argument(help="The step to explain; none: all that went wrong.")] = None,
    call: Annotated[
        int | None, typer.Option(help="Which call of the step, from 1. Default: the one that answered.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show texts in full.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Walk a step back: what it was asked, from which steps that came, what it answered, what went wrong.

    Read from the event history, so it needs no worker.
    """
    from cli.pages import show
    from cli.printing import print_json
    from cli.reaching import reaching
    from cli.recorded.reading import read_history
    from cli.recorded.why import explain, suspicion_lines, whole
    from cli.results import Reader

    async def command(reach: "Reach") -> None:
        found = await reach.find(run_id)
        history = await read_history(reach, found)
        status = await _status(reach, run_id)
        rows = {row.step: row for row in status.steps} if status else {}
        hops = status.hops if status else ()
        if step is None:
            wrong = whole(history, rows, hops)
            if as_json:
                print_json([{"step": one.step, "what": one.what, "fatal": one.fatal} for one in wrong])
            else:
                show(suspicion_lines(wrong))
            return
        reader = Reader(reach.store(), reach.settings, run_id)
        page = await explain(history, step, rows, hops, reader, call)
        if as_json:
            print_json(page.data())
        else:
            show(page.lines(full=full))

    reaching(command)


async def _status(reach: "Reach", run_id: str) -> "RunStatus | None":
    """Ask a worker what the steps are; None where nobody answers, because history tells the rest."""
    from cli.leaving import LeavingError
    from workflows.contracts import RunStatus

    try:
        return await reach.ask(await reach.find(run_id), "status", RunStatus)
    except LeavingError:
        return None
