"""Going on from an earlier staged run: what it was asked, and which of its outputs the new run takes over.

A run that failed left its outputs in its failure, one that was cancelled or terminated left none. Of such a run
only its workflow code knows how far it was, so a worker has to answer.
"""

from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from outlast.cli.kinds import STAGED, partial
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import PATIENT_DEADLINE, Reach
from outlast.command_line import command
from outlast.stages.contracts import StagedProgress, StagedRequest, StagedResult, StageOutput


async def resumed(reach: Reach, run_id: str, from_stage: str | None) -> StagedRequest:
    """Ask for what an earlier run was asked, with the outputs it has; raises LeavingError if it cannot go on."""
    found = await reach.find(run_id)
    if found.workflow_type != STAGED:
        raise LeavingError(
            WRONG, f"--resume {run_id}: it is of type {found.workflow_type}; name a run of '{command('staged')}'"
        )
    if found.status is WorkflowExecutionStatus.RUNNING:
        raise LeavingError(
            WRONG, f"--resume {run_id}: it is still running; wait for it, or end it: {command('cancel', run_id)}"
        )
    handle: WorkflowHandle[Any, StagedResult] = reach.client.get_workflow_handle(
        run_id, run_id=found.run_id, result_type=StagedResult
    )
    progress = await _left_by(handle) or await reach.ask(found, "progress", StagedProgress, within=PATIENT_DEADLINE)
    done = taken_over(progress.done, progress.stage, from_stage)
    asked = await _asked_of(reach, handle)
    return asked.model_copy(update={"done": done, "stages": progress.edited or asked.stages})


def taken_over(done: Sequence[StageOutput], stopped_at: str, from_stage: str | None) -> tuple[StageOutput, ...]:
    """Return the outputs before the stage to go on from: the named one, else where the earlier run stopped.

    Raises LeavingError if there is no such stage, or nothing is left to do.
    """
    names = [output.stage for output in done]
    choices = ", ".join([*names, *([stopped_at] if stopped_at and stopped_at not in names else [])])
    if from_stage is None:
        if not stopped_at:
            raise LeavingError(
                WRONG, f"--resume: that run is complete; name the stage to do again with --from-stage: {choices}"
            )
        return tuple(done)
    if from_stage in names:
        return tuple(done[: names.index(from_stage)])
    if from_stage == stopped_at:
        return tuple(done)
    raise LeavingError(
        WRONG, f"--from-stage {from_stage}: that run did not get so far; choose from {choices or 'none'}"
    )


async def _left_by(handle: WorkflowHandle[Any, StagedResult]) -> StagedProgress | None:
    """Read how far a run got from its result or its failure; None if neither says so."""
    try:
        result: Any = await handle.result()
    except WorkflowFailureError as failure:
        result = partial(failure.cause, STAGED)
    return (
        StagedProgress(done=result.stages, stage=result.failed or result.next_stage, edited=result.edited)
        if isinstance(result, StagedResult)
        else None
    )


async def _asked_of(reach: Reach, handle: WorkflowHandle[Any, StagedResult]) -> StagedRequest:
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        (request,) = await reach.client.data_converter.decode(payloads, [StagedRequest])
        assert isinstance(request, StagedRequest)
        return request
    raise LeavingError(WRONG, f"--resume {handle.id}: its history is gone; start the task anew")
