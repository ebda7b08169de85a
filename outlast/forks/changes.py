"""What a run and those before it changed in the world, and what of it still stands.

A fork takes steps over of the run before it, which may itself be a fork: what the tools of such a step changed is the change of
the run that did the step. And a run that has ended is rolled back by another workflow, which knows what became of each change.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowFailureError

from outlast.command_line import command
from outlast.contracts import TAKEN_NOTE, Change, Changes, ChangeState, Fork, Plan, RunStatus, StepState
from outlast.forks.following import renamed_steps
from outlast.forks.reading import (
    QUERY_SECONDS,
    EarlierRun,
    ForkError,
    Made,
    NoRunError,
    asked,
    described,
    for_each,
    request_of,
    status_of,
)
from outlast.undo import rollback_id


async def with_changes(client: Client, earlier: EarlierRun) -> EarlierRun:
    """Read what a run changed, and of what the runs before it changed all that matters to it.

    That is what still stands, and of steps that the run took over also what was undone since. Raises ForkError.
    """
    made = await _own(client, earlier.found, earlier.status)
    taken, fork = _taken(earlier.status), _fork_of(earlier.request)
    while fork is not None:
        try:
            before = await _last_part(client, fork.run, fork.run_id)
        except NoRunError:  # what was known of it when it was forked is all that is left
            made += [Made(fork.run, _of_gone(fork.run, step)) for step in fork.changed]
            break
        status = await status_of(client, before)
        made += [each for each in await _own(client, before, status) if each.stands or each.step in taken]
        taken &= _taken(status)
        fork = _fork_of(await request_of(client, before))
    return replace(earlier, changes=tuple(made))


async def _last_part(client: Client, run: str, run_id: str) -> WorkflowExecutionDescription:
    """Describe the last part of a run of which one part is known: it may have continued as new, or been reset, since."""
    known = await described(client, run, run_id or None)
    last = await described(client, run)
    same = known.raw_description.workflow_execution_info, last.raw_description.workflow_execution_info
    return last if same[0].first_run_id == same[1].first_run_id else known


async def _own(client: Client, found: WorkflowExecutionDescription, status: RunStatus) -> list[Made]:
    """Return what a run changed itself, and what it never took over of runs below, as rollbacks of it have left that."""
    changes = await asked(client, found, "changes", Changes)
    made = [Made(found.id, change) for change in changes.changes]
    known = {change.key for change in changes.changes}
    made += [each for each in await _below(client, found, status) if each.change.key not in known]
    if found.status is WorkflowExecutionStatus.RUNNING or not any(each.stands for each in made):
        return made
    names = [rollback_id(found.run_id), *(rollback_id(found.run_id, point.name) for point in changes.checkpoints)]
    undone: set[str] = set()

    async def look(name: str) -> None:
        undone.update(await _undone(client, found, name))

    await for_each(names, look)
    return [
        replace(each, change=each.change.model_copy(update={"state": ChangeState.UNDONE}))
        if each.change.key in undone
        else each
        for each in made
    ]


async def _below(client: Client, above: WorkflowExecutionDescription, status: RunStatus) -> list[Made]:
    """Return what the runs of agents changed that a run asked and whose end it did not see: it works on, or was terminated."""
    made: list[Made] = []
    for row in status.steps:
        if not row.run or row.state is StepState.DONE:
            continue
        try:
            below = await described(client, row.run)
        except NoRunError:
            continue
        if above.status is not WorkflowExecutionStatus.RUNNING:
            below = await _ended(client, below)
        changes = await _own(client, below, await status_of(client, below))
        step = row.within or row.step
        made += [Made(above.id, each.change.model_copy(update={"step": step})) for each in changes]
    return made


async def _ended(client: Client, found: WorkflowExecutionDescription) -> WorkflowExecutionDescription:
    """Wait for the end of a run below, which the end of the run above cancels; raises ForkError where it works on."""
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return found
    try:
        async with asyncio.timeout(QUERY_SECONDS):
            await client.get_workflow_handle(found.id).result()
    except WorkflowFailureError:
        pass
    except TimeoutError:
        end = command("cancel", found.id)
        raise ForkError(f"{found.id}, which the run has begun, still works, and may change more: {end}") from None
    return await described(client, found.id)


async def _undone(client: Client, of: WorkflowExecutionDescription, name: str) -> set[str]:
    """Return the keys of the calls that a rollback has undone; none where there was no such rollback."""
    try:
        found = await described(client, name)
    except NoRunError:
        return set()
    if found.status is WorkflowExecutionStatus.RUNNING:
        raise ForkError(f"run {of.id} is being rolled back just now ({name}); fork it when that has ended")
    changes = await asked(client, found, "changes", Changes)
    return {change.key for change in changes.changes if change.state is ChangeState.UNDONE}


def _taken(status: RunStatus) -> set[str]:
    """Name the steps that a run took over of the one before it."""
    return {row.step for row in status.steps if TAKEN_NOTE in row.note}


def _fork_of(request: Mapping[str, Any]) -> Fork | None:
    given = request.get("forked")
    return Fork.model_validate(given) if given else None


def _of_gone(run: str, step: str) -> Change:
    return Change(seq=0, step=step, agent="", tool="a tool", key=f"{run}/{step}", note="the run's history is gone")


def standing_changes(earlier: EarlierRun) -> list[Made]:
    """Return what the run, and those before it, changed and what stands."""
    return [change for change in earlier.changes if change.stands]


def check_effects(
    standing: Sequence[Made], done: Sequence[str], before: Plan | None = None, after: Plan | None = None
) -> None:
    """Refuse to do again what changed something, unless it was undone since or the fork's plan has no such step any more."""
    planned = None if after is None else {step.step for step in after.steps} | renamed_steps(before, after)
    repeated = [one for one in standing if one.step not in done and (planned is None or one.step in planned)]
    if not repeated:
        return
    runs = list(dict.fromkeys(one.run for one in repeated))
    raise ForkError(
        f"steps that would run again changed something in run {', '.join(runs)} that still stands "
        f"({'; '.join(map(str, repeated[:5]))}). Undo it first: {'; '.join(command('rollback', run) for run in runs)}; or let it "
        "be done once more: --repeat-effects"
    )
