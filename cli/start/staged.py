"""`starter.py staged`: fixed stages, planned within; or what an earlier run left undone."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import StartOptions, given, starts_run
from outlast.cli.leaving import WRONG, LeavingError

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach
    from outlast.stages.contracts import StagedRequest


@starts_run(without=("result_schema",))
def staged(
    task: Annotated[str | None, typer.Argument(help="What to deliver.", metavar="TASK")] = None,
    task_file: Annotated[Path | None, typer.Option(help="Read the task from this file (- for stdin).")] = None,
    stages: Annotated[Path | None, typer.Option(help="Your own stages: a JSON list (- for stdin).")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on from what this earlier run has done, with its task.", metavar="ID")
    ] = None,
    from_stage: Annotated[
        str | None, typer.Option(help="With --resume: do this stage and those after it again.", metavar="NAME")
    ] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Sub-steps at the same time.", min=1, max=200)] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Stop for people there: every-stage, or after-plan (of each stage).", metavar="WHERE"),
    ] = None,
    *,
    options: StartOptions,
) -> None:
    """Take TASK through fixed stages: research, outline, draft, review, final.

    Within each stage a model decides the sub-steps. Exit code 1 if a stage failed; --resume goes on from there.
    """
    from cli.start.stages_file import read_stages_file
    from outlast.cli.inputs import read_checkpoint, read_task
    from outlast.cli.kinds import STAGED
    from outlast.cli.reaching import reaching
    from outlast.stages.contracts import StagedRequest

    text = read_task(task, task_file)
    _check(text, resume, from_stage)
    changes = given(
        stages=read_stages_file(stages, "--stages") if stages else None,
        max_parallel=max_parallel,
        checkpoint=read_checkpoint(checkpoint, "every-stage", "after-plan"),
    )
    changes |= options.request_fields()
    asked = None if resume else StagedRequest(task=text, **changes)

    async def command(reach: "Reach") -> None:
        request = asked or await _earlier(reach, resume or "", from_stage, changes)
        summary = " ".join(request.task.split())
        await options.begin(reach, STAGED, request, summary=summary)

    reaching(command)


def _check(task: str, resume: str | None, from_stage: str | None) -> None:
    if resume == "":
        raise LeavingError(WRONG, "--resume is empty; name the run to go on from")
    if resume and task.strip():
        raise LeavingError(WRONG, "TASK: the task of the run to go on from holds; leave TASK out, or --resume")
    if not resume and not task.strip():
        raise LeavingError(WRONG, "TASK: say what to deliver, or go on from an earlier run with --resume ID")
    if from_stage is not None and not resume:
        raise LeavingError(WRONG, "--from-stage names a stage of an earlier run; name that run with --resume ID")


async def _earlier(reach: "Reach", resume: str, from_stage: str | None, changes: dict[str, object]) -> "StagedRequest":
    from outlast.cli.runs.resuming import resumed

    return (await resumed(reach, resume, from_stage)).model_copy(update=changes)
