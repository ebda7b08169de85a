"""`starter.py plan`: a task that is broken into steps, or a person's own plan."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.contracts import PlanRequest

PLAN_INLINE = 100_000
"""Characters of a plan that travels in the request itself."""
OnFailure = Literal["skip_dependents", "fail_fast", "replan"]


@starts_run()
def plan(
    task: Annotated[str | None, typer.Argument(help="What to do.", metavar="TASK")] = None,
    task_file: Annotated[Path | None, typer.Option(help="Read the task from this file (- for stdin).")] = None,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", help="Run your own plan: JSON (- for stdin); no model rewrites it.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only make and check the plan, and show its shape; with --plan no server is needed."
        ),
    ] = False,
    on_step_failure: Annotated[
        OnFailure | None,
        typer.Option(help="What a failed step does to the rest; by default, what depends on it is skipped."),
    ] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Steps at the same time.", min=1, max=200)] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Most steps that the planner may write.", min=1, max=500)
    ] = None,
    agents: Annotated[str | None, typer.Option(help="Only these agents, by comma: researcher,writer.")] = None,
    fallback_plan: Annotated[
        Path | None, typer.Option(help="JSON plan that runs if the planner gives no valid one.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Stop for people there: after-plan, or steps=3,5.", metavar="WHERE"),
    ] = None,
    *,
    options: StartOptions,
) -> None:
    """Break TASK into steps for agents and run them as a graph.

    A planner writes the plan; with --plan FILE it is your own. Exit code 1 if no last step gave an answer.
    """
    from outlast.cli.inputs import read_checkpoint, read_plan_file, read_task
    from outlast.cli.kinds import PLAN
    from outlast.cli.reaching import reaching
    from outlast.contracts import PlanRequest

    text = read_task(task, task_file)
    if not text.strip() and plan_file is None:
        raise LeavingError(WRONG, "TASK: say what to do, or give your own plan with --plan FILE")
    request = PlanRequest(
        task=text,
        plan=read_plan_file(plan_file, "--plan") if plan_file else None,
        fallback_plan=read_plan_file(fallback_plan, "--fallback-plan") if fallback_plan else None,
        agents=tuple(name.strip() for name in (agents or "").split(",") if name.strip()),
        dry_run=dry_run,
        **given(
            on_step_failure=on_step_failure,
            max_parallel=max_parallel,
            max_steps=max_steps,
            checkpoint=read_checkpoint(checkpoint, "after-plan", "steps"),
        ),
        **options.request_fields(),
    )

    if dry_run and request.plan is not None:
        from cli.start.dry_run import dry_run as check

        check(request, as_json=options.as_json)
        return

    async def command(reach: "Reach") -> None:
        summary = " ".join(text.split()) or f"own plan {plan_file}"
        await options.begin(reach, PLAN, await _kept(reach, request), summary=summary)

    reaching(command)


async def _kept(reach: "Reach", request: "PlanRequest") -> "PlanRequest":
    """Keep a long plan in the content store: the request goes along whenever the run continues as new."""
    text = request.plan.model_dump_json() if request.plan else ""
    if len(text) <= PLAN_INLINE:
        return request
    kept = await reach.store().keep(text, media_type="application/json", summary="the plan", by_reference=True)
    return request.model_copy(update={"plan": None, "kept_plan": kept})
