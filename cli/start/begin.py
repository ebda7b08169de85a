"""What all commands that start a run share: their options, and how a run begins and is waited for.

The trap: whatever is imported at the top here is imported by `--help` as well.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.cli.reaching import Reach

Id = Annotated[
    str | None, typer.Option("--id", help="Id of the run; the same id again attaches to the run that is going.")
]
Detach = Annotated[bool, typer.Option("--detach", help="Start it and leave; it goes on without you.")]
BudgetUsd = Annotated[
    float | None,
    typer.Option(
        "--budget-usd", help="Spend no more USD than this; a person is asked when it is reached.", min=0.000001
    ),
]
BudgetTokens = Annotated[
    int | None, typer.Option("--budget-tokens", help="Use no more tokens than this, all calls together.", min=1)
]
BudgetCalls = Annotated[int | None, typer.Option("--budget-calls", help="Make no more model calls than this.", min=1)]
Requester = Annotated[
    str | None,
    typer.Option(
        help="Who asks for it, and by default may not approve what it proposes. Default: your user name; '' names nobody.",
        metavar="NAME",
    ),
]
TakeBack = Annotated[
    str | None,
    typer.Option(
        "--on-failure",
        help="When it fails, take back what its tools changed: keep (nothing), all, or to:NAME of a checkpoint.",
        metavar="WHAT",
    ),
]
LeaveBehind = Annotated[
    str | None,
    typer.Option(
        "--on-fallback",
        help="What an agent that fails leaves to its fallback: tell (what it did; the default), or roll_back (nothing).",
        metavar="WHAT",
    ),
]
Stream = Annotated[
    bool,
    typer.Option(
        "--stream", help="Let watch --stream show texts sooner and whole: they enter the run's history for it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


async def begin(
    reach: "Reach",
    workflow: str,
    request: "BaseModel",
    *,
    run_id: str | None,
    summary: str,
    detach: bool,
    as_json: bool,
    stream: bool = False,
    requester: str | None = None,
    task_queue: str | None = None,
) -> None:
    """Start a run or attach to the one of that id, and show its result unless `detach`.

    With `stream` its calls publish what the models write. `requester` asks for it; None is the user of the operating system.
    `task_queue` is where it goes if not to the usual one.
    """
    from outlast.cli.decisions.users import user_name
    from outlast.cli.printing import command, print_json
    from outlast.cli.runs.running import finish, start

    request = request.model_copy(update={"requester": user_name() if requester is None else requester.strip()})
    if stream:
        request = request.model_copy(update={"stream": True})
    handle, attached = await start(
        reach, workflow, request, workflow_id=run_id, summary=summary, detach=detach, task_queue=task_queue
    )
    if not detach:
        await finish(reach, handle, workflow, as_json=as_json)
    elif as_json:
        print_json({"id": handle.id, "attached": attached, "page": reach.page_of(handle.id)})
    else:
        print(f"{handle.id} goes on without you: {command('watch', handle.id)}")


def budgeted(usd: float | None, tokens: int | None, calls: int | None) -> dict[str, Any]:
    """Return the request's field `budget`; nothing where no limit was given."""
    from outlast.contracts import Budget

    limits = given(usd=usd, tokens=tokens, calls=calls)
    return {"budget": Budget(**limits)} if limits else {}


def undone(on_failure: str | None, on_fallback: str | None = None) -> dict[str, Any]:
    """Return the request's fields `on_failure` and `on_fallback`, those that were given.

    Raises LeavingError that says what to write.
    """
    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.contracts import Extent, OnFallback, RollbackPolicy

    fields: dict[str, Any] = {}
    if on_fallback is not None:
        if on_fallback not in tuple(OnFallback):
            raise LeavingError(WRONG, f"--on-fallback {on_fallback}: write {' or '.join(OnFallback)}")
        fields["on_fallback"] = OnFallback(on_fallback)
    if on_failure is None:
        return fields
    if on_failure.startswith("to:") and on_failure[3:].strip():
        policy = RollbackPolicy(extent=Extent.TO_CHECKPOINT, checkpoint=on_failure[3:].strip())
    elif on_failure in (Extent.KEEP, Extent.ALL):
        policy = RollbackPolicy(extent=Extent(on_failure))
    else:
        raise LeavingError(WRONG, f"--on-failure {on_failure}: write keep, all, or to:NAME")
    return fields | {"on_failure": policy}


def given(**options: Any) -> dict[str, Any]:
    """Leave out what was not given, so that the contract's own default counts."""
    return {name: value for name, value in options.items() if value is not None}
