"""`fork`, `retry` and `diff`: another run that goes on from one, and two runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.forks.preparing import Wanted

RunId = Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]
NewId = Annotated[str | None, typer.Option("--id", help="Id of the new run.", metavar="NEW")]
RepeatEffects = Annotated[
    bool,
    typer.Option(
        "--repeat-effects", help="Let steps run again although their tools changed something that still stands."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Start nothing; show what would be taken over, and the plan.")]
Requester = Annotated[
    str | None,
    typer.Option(
        help="Who asks for it, and by default may not approve what it proposes. Default: your user name; '' names nobody.",
        metavar="NAME",
    ),
]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and leave; it goes on without you.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def fork(
    run_id: RunId,
    from_step: Annotated[
        str, typer.Option("--from-step", help="First step that is done again, with all that comes after it.")
    ] = "",
    from_turn: Annotated[
        int | None, typer.Option("--from-turn", help="Of a session: the first turn that is taken again.", min=1)
    ] = None,
    edit: Annotated[
        Path | None,
        typer.Option(help="JSON (- for stdin): a whole plan, or changed fields of the request."),
    ] = None,
    agent: Annotated[str, typer.Option(help="The agent for that step.", metavar="NAME")] = "",
    model: Annotated[str, typer.Option(help="The model for that step.", metavar="NAME")] = "",
    text: Annotated[
        str, typer.Option("--input", help="Another input for that step of a plan, or what is said at that turn.")
    ] = "",
    new_id: NewId = None,
    repeat_effects: RepeatEffects = False,
    dry_run: DryRun = False,
    requester: Requester = None,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Fork a run: a new run keeps what this one has finished, and goes on from a step of it, edited as you like.

    What is taken over is not paid again. What the earlier run changed is neither done again nor undone by the fork.
    """
    from outlast.forks.preparing import Wanted

    wanted = Wanted(from_step, from_turn, _read_edit(edit), agent, model, text, repeat_effects)
    _begin(run_id, wanted, new_id, requester, dry_run=dry_run, detach=detach, as_json=as_json)


def retry(
    run_id: RunId,
    budget_usd: Annotated[
        float | None, typer.Option("--budget-usd", help="What the new run may spend, in USD.", min=0.000001)
    ] = None,
    budget_tokens: Annotated[
        int | None, typer.Option("--budget-tokens", help="How many tokens it may use, all calls together.", min=1)
    ] = None,
    budget_calls: Annotated[
        int | None, typer.Option("--budget-calls", help="How many model calls it may make.", min=1)
    ] = None,
    new_id: NewId = None,
    repeat_effects: RepeatEffects = False,
    dry_run: DryRun = False,
    requester: Requester = None,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Retry an ended run: a new run does what failed or was never reached, and keeps what is finished.

    It has the budget that the run had, unspent, or another one. Exit code 2 for a run that still runs, or in which nothing
    failed.
    """
    from outlast.forks.preparing import Wanted

    limits = {"usd": budget_usd, "tokens": budget_tokens, "calls": budget_calls}
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    wanted = Wanted(repeat_effects=repeat_effects, retries=True, budget=budget)
    _begin(run_id, wanted, new_id, requester, dry_run=dry_run, detach=detach, as_json=as_json)


def diff(
    one: Annotated[str, typer.Argument(help="Id of a run.", metavar="ID")],
    other: Annotated[str, typer.Argument(help="Id of another run.", metavar="OTHER")],
    full: Annotated[bool, typer.Option("--full", help="Show answers in full.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write it as a page to this file.", metavar="FILE")] = None,
    as_json: Json = False,
) -> None:
    """Show two runs side by side: plan, agents, answers, cost, time, and how they ended."""
    from datetime import UTC, datetime

    from outlast.cli.forks.comparing import compare
    from outlast.cli.leaving import WRONG, LeavingError, say
    from outlast.cli.printing import print_json
    from outlast.cli.reaching import reaching
    from outlast.cli.rendering import show
    from outlast.cli.report.page import compared

    found = reaching(lambda reach: compare(reach, one, other))
    if html is not None:
        try:
            page = compared(*found.reports, datetime.now(UTC), found.steps)
            html.write_text(page, encoding="utf-8")
        except OSError as error:
            raise LeavingError(WRONG, f"--html {html} cannot be written ({error.strerror or error})") from error
        say(f"written to {html}")
    if as_json:
        print_json(found.data())
    elif html is None:
        show(found.lines(full=full))


def _read_edit(file: Path | None) -> dict[str, Any]:
    """Read what is edited; raises LeavingError that names the option. A plan alone is the request's field `plan`."""
    from outlast.cli.inputs import read_json
    from outlast.cli.leaving import WRONG, LeavingError

    if file is None:
        return {}
    data = read_json(file, "--edit")
    if isinstance(data, list) or (isinstance(data, dict) and "steps" in data):
        return {"plan": data}
    if not isinstance(data, dict) or not data:
        raise LeavingError(
            WRONG, f'--edit {file}: write a plan {{"steps": […]}}, or fields of the request, as {{"task": "…"}}'
        )
    return data


def _begin(
    run_id: str,
    wanted: "Wanted",
    new_id: str | None,
    requester: str | None,
    *,
    dry_run: bool,
    detach: bool,
    as_json: bool,
) -> None:
    from outlast.cli.forks.starting import begin
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import reaching

    if new_id == "":
        raise LeavingError(WRONG, "--id is empty; name the new run, or leave --id out")

    async def command(reach: "Reach") -> None:
        await begin(reach, run_id, wanted, new_id or "", requester, dry_run=dry_run, detach=detach, as_json=as_json)

    reaching(command)
