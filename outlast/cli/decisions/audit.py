"""`audit`: who decided what, and whether the log of it was changed since."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.cli.recorded.decisions import Audit


def audit(
    run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")] = "",
    file: Annotated[
        Path | None, typer.Option(help="Verify an exported history instead: temporal workflow show -o json.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Print every decision of a run and verify their chain, from history alone. Exit code 1 names what was changed."""
    from outlast.cli.leaving import FAILED, WRONG, LeavingError
    from outlast.cli.printing import counted, plain, print_json
    from outlast.cli.rendering import safe

    if bool(run_id) == (file is not None):
        raise LeavingError(WRONG, "name a run (audit ID), or an exported history (--file); one of the two")
    found = _of_file(file) if file is not None else _of_run(run_id)
    if as_json:
        print_json(
            {"whole": found.whole, "unkept": found.unkept, "problems": list(found.problems)}
            | {"records": plain(found.records)}
        )
    else:
        for one in found.records:
            who = f" by {one.by}{' (signed)' if one.verified else ''} by way of {one.channel}" if one.channel else ""
            what = f"{one.seq:4} {one.when:%Y-%m-%d %H:%M:%S} {one.gate} {one.kind}{who} {one.digest[:12]} {one.reason}"
            what += f" · stands for {one.standing}" if one.standing else ""
            print(safe(what.rstrip()))
        head = found.records[-1].hash if found.records else "none"
        print(
            f"{counted(len(found.records), 'record')} · head {head}"
            + ("" if found.whole else " · the beginning is not there")
        )
    if found.problems:
        raise LeavingError(FAILED, "the decision log was changed:\n  " + "\n  ".join(found.problems))


def _of_run(run_id: str) -> "Audit":
    from outlast.cli.reaching import reaching
    from outlast.cli.recorded.decisions import audit_run

    async def command(reach: "Reach") -> "Audit":
        return await audit_run(reach, await reach.find(run_id, ours=False))

    return reaching(command)


def _of_file(file: Path) -> "Audit":
    import asyncio
    import json

    from temporalio.client import WorkflowHistory

    from outlast.cli.inputs import read_json
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.recorded.decisions import audit_events
    from outlast.client import data_converter, load_settings

    try:
        history = WorkflowHistory.from_json(str(file), json.dumps(read_json(file, "--file")))
        settings = load_settings()
        converter = data_converter(settings.payload_limit_bytes, settings.payload_keys)
        return asyncio.run(audit_events(history.events, converter))
    except LeavingError:
        raise
    except Exception as error:
        raise LeavingError(
            WRONG, f"--file {file}: no history as exported, or not readable: {str(error)[:300]}"
        ) from error
