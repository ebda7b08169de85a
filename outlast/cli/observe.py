"""The commands that look: `list`, `status`, `watch`, `result`, `trace`. None of them changes a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.cli.leaving import say

if TYPE_CHECKING:
    from rich.text import Text
    from temporalio.client import WorkflowExecutionDescription

    from outlast.cli.reaching import Reach
    from outlast.cli.runs.described import Standing
    from outlast.cli.runs.retrying import Waiting

RunId = Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def list_runs(
    limit: Annotated[int, typer.Option(help="Most runs to show.", min=1, max=1000)] = 20,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed, timed out or were terminated.")
    ] = False,
    running: Annotated[bool, typer.Option("--running", help="Only those still running.")] = False,
    since: Annotated[
        str | None,
        typer.Option(help="Only those that began or ended since: 90m, 12h, 2d, 1w ago, or a date.", metavar="WHEN"),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Only those of this start command or workflow type; repeatable.",
            metavar="TYPE",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    from datetime import UTC, datetime

    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.rendering import show
    from outlast.cli.runs.listing import Wanted, newest, read_since, runs_page

    after = read_since(since, datetime.now(UTC)) if since is not None else None
    wanted = Wanted(failed, running, after, tuple(types or ()))
    found = reaching(lambda reach: newest(reach, limit, wanted))
    if as_json:
        print_json(found)
    else:
        show(runs_page(found, wanted))


def status(run_id: RunId, as_json: Json = False) -> None:
    """Show the steps of a run and what it has spent."""
    from rich.text import Text

    from outlast.cli.leaving import why_failed
    from outlast.cli.printing import plain, print_json
    from outlast.cli.reaching import begins_at, reaching
    from outlast.cli.rendering import safe, show, status_page
    from outlast.cli.runs.class_queues import class_waits
    from outlast.cli.runs.described import described, described_page, error_lines, held_lines, standing
    from outlast.cli.runs.retrying import retries_of, retry_lines, wait_lines, waits_of

    async def command(
        reach: "Reach",
    ) -> "tuple[WorkflowExecutionDescription, Standing | None, str, list[str], list[Waiting]]":
        found = await reach.find(run_id, ours=False)
        stands = None if begins_at(found) else await standing(reach, found)
        error = stands.error if stands else await why_failed(reach.client, found)
        return found, stands, error, await class_waits(reach, found), await waits_of(reach, found)

    found, stands, error, held, waits = reaching(command)
    retries = retries_of(found)
    server = described(found) | {"retries": plain(retries), "waits": plain(waits)}
    server |= {"held": [*server["held"], *held], "error": error}
    if as_json:
        extra = {name: server[name] for name in ("error", "held", "retries", "waits") if server[name]}
        busy = {"busy": stands.busy} if stands and stands.busy else {}
        print_json(server if stands is None else plain(stands.status) | extra | busy)
        return
    calls = [Text(safe(line)) for line in (*wait_lines(waits), *retry_lines(retries))]
    if stands is None:
        show([*described_page(server), *error_lines(error), *calls])
    else:
        page = [status_page(stands.status), *error_lines(error)]
        show([*_busy_lines(stands), *page, *held_lines(server["held"]), *calls])


def watch(
    run_id: Annotated[str | None, typer.Argument(help="Id of the run.", metavar="ID")] = None,
    every: Annotated[bool, typer.Option("--all", help="All runs of the namespace, until Ctrl-C.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Show what the models write, as they write it.")] = False,
) -> None:
    """Follow a run step by step until it ends, or all runs with --all. Exit code 1 if the run fails.

    A live table in a terminal, elsewhere a line for each change. Ctrl-C leaves the run alone.
    """
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import reaching
    from outlast.cli.watching.many import follow_all
    from outlast.cli.watching.one import follow
    from outlast.command_line import command as command_of

    if every:
        if run_id is not None or stream:
            raise LeavingError(WRONG, "--all shows every run: leave ID and --stream out, or --all")
        reaching(follow_all)
    elif run_id is None:
        raise LeavingError(WRONG, f"ID: name the run to watch ('{command_of('list')}' shows them), or watch them --all")
    else:
        found = run_id
        reaching(lambda reach: follow(reach, found, stream=stream))


def result(
    run_id: RunId,
    as_json: Json = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for a run that is still running.")] = False,
) -> None:
    """Show the result of a run; waits for its end. Exit code 1 if it failed."""
    from temporalio.client import WorkflowExecutionStatus

    from outlast.cli.kinds import page_of
    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.runs.running import finish
    from outlast.command_line import command as command_of

    async def command(reach: "Reach") -> None:
        found = await reach.find(run_id, ours=False)
        if found.status is WorkflowExecutionStatus.RUNNING:
            if no_wait and as_json:
                print_json({"id": run_id, "state": "running"})
                return
            if no_wait:
                print(f"{run_id} is still running: {command_of('watch', run_id)}")
                return
            if not await reach.served_soon(found):
                raise await reach.no_worker(found, f"run {run_id!r} is still running")
        kind = page_of(found.workflow_type).result
        handle = reach.client.get_workflow_handle(run_id, run_id=found.run_id, result_type=kind)
        await finish(reach, handle, found.workflow_type, as_json=as_json)

    reaching(command)


def trace(
    run_id: RunId,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write one JSON object per call to this file (- for stdout).")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Print each call as it ends, until the run does.")] = False,
) -> None:
    """Show every step and call of a run as a tree.

    Who made it, how long it took, what it cost, how it ended, and where the run failed first. With --jsonl the same for programs.
    """
    from dataclasses import replace

    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import reaching
    from outlast.cli.recorded.delegates import whole_tree
    from outlast.cli.rendering import show
    from outlast.cli.runs.described import error_lines, standing
    from outlast.cli.runs.trace_page import trace_page
    from outlast.cli.runs.tracing import follow_trace, write_lines

    async def command(reach: "Reach") -> "Standing":
        found = await reach.find(run_id, ours=False)
        stands = await standing(reach, found, trace=True)
        if stands is None:
            raise LeavingError(WRONG, f"run {run_id!r} is of type {found.workflow_type}, which keeps no trace of calls")
        status, calls = await whole_tree(reach, stands.status, stands.trace)
        return replace(stands, status=status, trace=calls)

    if follow:
        reaching(lambda reach: follow_trace(reach, run_id, jsonl))
        return
    stands = reaching(command)
    calls = stands.trace.calls
    if jsonl is None:
        show([*_busy_lines(stands), *trace_page(stands.status, stands.trace), *error_lines(stands.error)])
        return
    if stands.busy:
        say(stands.busy)
    write_lines(calls, jsonl)
    if str(jsonl) != "-":
        say(f"{len(calls)} calls written to {jsonl}")


def _busy_lines(stands: "Standing") -> "list[Text]":
    from rich.text import Text

    from outlast.cli.rendering import safe

    return [Text(safe(stands.busy), style="yellow")] if stands.busy else []
