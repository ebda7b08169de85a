"""The commands that explain a run from its history: `why` and `report`. A worker makes them say more, but they need none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.cli.report.figures import Report
    from outlast.contracts import RunStatus


def why(
    run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")],
    step: Annotated[str | None, typer.Argument(help="The step to explain; none: all that went wrong.")] = None,
    call: Annotated[
        int | None, typer.Option(help="Which call of the step, from 1. Default: the one that answered.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show texts in full.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Explain a step: what it was asked, from which steps that came, what it answered, what went wrong.

    Read from the event history, so it needs no worker.
    """
    from rich.text import Text

    from outlast.cli.leaving import why_failed
    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.recorded.delegates import place_of, wrong_below
    from outlast.cli.recorded.reading import read_history
    from outlast.cli.recorded.suspicions import failure
    from outlast.cli.recorded.why import explain, suspicion_lines, whole
    from outlast.cli.rendering import safe, show
    from outlast.cli.results import Reader

    async def command(reach: "Reach") -> None:
        found = await reach.find(run_id, ours=False)
        history = await read_history(reach, found)
        status = await _status(reach, run_id)
        below = await place_of(reach, status, step) if status and step is not None else None
        if below is not None:  # an agent did it in a run of its own, which is where its calls are
            found, status, own = below
            history = await read_history(reach, found)
            reader = Reader(reach.store(), reach.settings, found.id)
            page = await explain(history, own, {row.step: row for row in status.steps}, status.hops, reader, call)
            if as_json:
                print_json({**page.data(), "run": found.id})
            else:
                show([Text(safe(f"{step} is a run of its own: {found.id}"), style="dim"), *page.lines(full=full)])
            return
        rows = {row.step: row for row in status.steps} if status else {}
        fallbacks = status.hops if status else ()
        if step is None:
            found_below = await wrong_below(reach, status) if status else []
            failed = failure(await why_failed(reach.client, found))
            wrong = list(dict.fromkeys([*whole(history, rows, fallbacks), *found_below, *failed]))
            if as_json:
                print_json([{"step": one.step, "what": one.what, "fatal": one.fatal} for one in wrong])
            else:
                show(suspicion_lines(wrong))
            return
        reader = Reader(reach.store(), reach.settings, run_id)
        page = await explain(history, step, rows, fallbacks, reader, call)
        if as_json:
            print_json(page.data())
        else:
            show(page.lines(full=full))

    reaching(command)


def report(
    run_id: Annotated[str | None, typer.Argument(help="Id of the run.", metavar="ID")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write (- for stdout). Default: ID.html.")
    ] = None,
    compare: Annotated[tuple[str, str] | None, typer.Option(help="Two runs, side by side.", metavar="A B")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON instead.")] = False,
) -> None:
    """Write one HTML page on a run: plan, times, cost, decisions, changes, and what went wrong.

    The page loads nothing from the network. Works for runs that are still running.
    """
    from datetime import UTC, datetime

    from outlast.cli.leaving import WRONG, LeavingError, say
    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.report.page import compared, html
    from outlast.cli.report.reading import read_report

    ids = compare or ((run_id,) if run_id else ())
    if not ids or (compare and run_id):
        raise LeavingError(WRONG, "name one run (report ID), or two with --compare A B")

    async def command(reach: "Reach") -> "list[Report]":
        return [await read_report(reach, each) for each in ids]

    found = reaching(command)
    if as_json:
        print_json(found[0].data() if len(found) == 1 else [one.data() for one in found])
        return
    now = datetime.now(UTC)
    page = html(found[0], now) if len(found) == 1 else compared(found[0], found[1], now)
    file = output or Path(f"{'-and-'.join(ids)}.html".replace("/", "-"))
    if str(file) == "-":
        print(page)
        return
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise LeavingError(WRONG, f"--output {file} cannot be written ({error.strerror or error})") from error
    say(f"report written to {file}")


async def _status(reach: "Reach", run_id: str) -> "RunStatus | None":
    """Ask a worker what the steps are; None where nobody answers, because history tells the rest."""
    from temporalio.client import WorkflowQueryFailedError

    from outlast.cli.leaving import LeavingError

    try:
        return await reach.status(await reach.find(run_id, ours=False))
    except (LeavingError, WorkflowQueryFailedError, ValueError):
        return None
