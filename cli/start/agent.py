"""`starter.py agent`: one agent with its tools, alone."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


@starts_run(without=("on_fallback",))
def agent(
    name: Annotated[str, typer.Argument(help="Which agent: see 'python starter.py agents'.", metavar="NAME")],
    task: Annotated[str, typer.Argument(help="What it is to do.", metavar="TASK")],
    turns: Annotated[int | None, typer.Option(help="Most model turns.", min=1, max=10_000)] = None,
    tokens: Annotated[int | None, typer.Option(help="Most tokens of all calls together.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="Longest time in seconds.", min=0.001)] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="Approve this irreversible tool beforehand; repeatable.")
    ] = None,
    *,
    options: StartOptions,
) -> None:
    """Let one agent, with its tools, work on TASK until it answers.

    Exit code 1 if it failed, or if a limit ended it.
    """
    from outlast.agents.files import slug
    from outlast.agents.sessions import AgentSessionRequest, SessionLimits
    from outlast.cli.kinds import SESSION
    from outlast.cli.reaching import reaching

    if not task.strip():
        raise LeavingError(WRONG, "TASK: say what the agent is to do")
    limits = SessionLimits(**given(turns=turns, tokens=tokens, seconds=seconds))
    budget = options.request_fields()
    request = AgentSessionRequest(
        agent=slug(name) or name, task=task, limits=limits, allowed=tuple(allow or ()), **budget
    )

    async def command(reach: "Reach") -> None:
        summary = f"{name}: {' '.join(task.split())}"
        await options.begin(reach, SESSION, request, summary=summary)

    reaching(command)
