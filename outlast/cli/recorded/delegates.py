"""The runs of agents that the agents of a run have asked: their steps, calls and changes, put below the steps that asked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import PATIENT_DEADLINE, Reach
from outlast.cli.recorded.reading import read_history
from outlast.cli.recorded.suspicions import WHOLE_RUN, Suspicion
from outlast.cli.recorded.why import whole
from outlast.cli.rendering import below_lines
from outlast.command_line import command
from outlast.contracts import CallTrace, Changes, RunStatus, StepRow, Trace
from outlast.undo.log import UndoLog

DEEPEST = 10
"""How far down runs are looked for; no request allows more."""


@dataclass(frozen=True)
class Below:
    """One such run, the step of the run above that it does, and its name for its own steps there."""

    row: StepRow
    found: WorkflowExecutionDescription
    status: RunStatus

    def step(self, own: str) -> str:
        """Name a step of this run as one below the step of the run above."""
        rest = own.removeprefix(self.row.agent)
        return f"{self.row.step}{rest}" if rest != own and rest[:1] in ("", "/") else f"{self.row.step}/{own}"


async def runs_below(
    reach: Reach, status: RunStatus, depth: int = DEEPEST, *, all_of_them: bool = False
) -> AsyncIterator[Below]:
    """Yield the runs of agents that a run has asked, each before those that its own agents asked; none that does not answer.

    With `all_of_them`, one that is there and does not answer raises what is in its way.
    """
    for row in status.steps if depth else ():
        if not row.run:
            continue
        try:
            found = await reach.find(row.run, ours=False)
            below = Below(row, found, await reach.status(found))
        except (LeavingError, WorkflowQueryFailedError, RPCError, ValueError) as error:
            if all_of_them and not (isinstance(error, LeavingError) and error.code == WRONG):
                raise
            continue  # deleted, or nobody serves it: the step itself still says what came of it
        yield below
        async for further in runs_below(reach, below.status, depth - 1, all_of_them=all_of_them):
            named = further.row.model_copy(update={"step": below.step(further.row.step)})
            yield Below(named, further.found, further.status)


async def whole_tree(reach: Reach, status: RunStatus, trace: Trace) -> tuple[RunStatus, Trace]:
    """Add the steps and calls of all runs below to those of a run."""
    rows = {row.step: row for row in status.steps}
    calls: list[CallTrace] = list(trace.calls)
    async for below in runs_below(reach, status):
        for row in below.status.steps:
            name = below.step(row.step)
            update = {"step": name, "within": below.step(row.within) if row.within else below.row.step}
            if name not in rows:
                rows[name] = row.model_copy(update=update)
        calls += [call.model_copy(update={"step": below.step(call.step)}) for call in await _calls(reach, below)]
    return status.model_copy(update={"steps": tuple(rows.values())}), trace.model_copy(update={"calls": tuple(calls)})


async def place_of(
    reach: Reach, status: RunStatus, step: str
) -> tuple[WorkflowExecutionDescription, RunStatus, str] | None:
    """Find the run that does a step below, with its status and the step's own name there; None for a step of this run alone."""
    async for below in runs_below(reach, status):
        for row in below.status.steps:
            if below.step(row.step) == step and not row.run:
                return below.found, below.status, row.step
    return None


async def wrong_below(reach: Reach, status: RunStatus) -> list[Suspicion]:
    """Return what waits for people in runs below, and what went wrong there, by the steps' names in this run."""
    found = [
        Suspicion(row.step, f"{waits.agent} waits for people in its own run: {'; '.join(below_lines(waits))}")
        for waits in status.below
        for row in status.steps
        if row.run == waits.run
    ]
    async for below in runs_below(reach, status):
        history = await read_history(reach, below.found)
        rows = {row.step: row for row in below.status.steps}
        wrong = whole(history, rows, below.status.hops)
        found += [
            Suspicion(below.step(one.step) if one.step in rows else WHOLE_RUN, one.what, one.fatal) for one in wrong
        ]
    return found


async def with_changes_below(reach: Reach, found: WorkflowExecutionDescription, changes: Changes) -> Changes:
    """Add what runs below have changed and this one, which was terminated meanwhile, never took over."""
    log = UndoLog()
    log.adopt(changes, found.id)
    async for below in runs_below(reach, await reach.status(found), all_of_them=True):
        ended = await _ended(reach, below.found)
        changed = await reach.ask(ended, "changes", Changes, within=PATIENT_DEADLINE)
        log.take_over(changed.changes, below.row.within or below.row.step)
    return log.all(changes.reason)


async def _ended(reach: Reach, found: WorkflowExecutionDescription) -> WorkflowExecutionDescription:
    """Wait for the end of a run below, which the end of the run above cancels; raises LeavingError where it works on."""
    if found.status is WorkflowExecutionStatus.RUNNING:
        try:
            async with asyncio.timeout(PATIENT_DEADLINE.total_seconds()):
                await reach.client.get_workflow_handle(found.id, run_id=found.run_id).result(follow_runs=True)
        except WorkflowFailureError:
            pass
        except TimeoutError:
            end = command("cancel", found.id)
            raise LeavingError(WRONG, f"{found.id}, below it, still works, and may change more: {end}") from None
        found = await reach.find(found.id, ours=False)
    return found


async def _calls(reach: Reach, below: Below) -> tuple[CallTrace, ...]:
    try:
        return (await reach.trace(below.found)).calls
    except (LeavingError, WorkflowQueryFailedError, RPCError, ValueError):
        return ()
