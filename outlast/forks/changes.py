"""What a run and those before it changed in the world, and what of it still stands.

A fork takes steps over of the run before it, which may itself be a fork: what the tools of such a step changed is the change of
the run that did the step. And a run that has ended is rolled back by another workflow, which knows what became of each change.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus

from outlast.command_line import command
from outlast.contracts import TAKEN_NOTE, Change, Changes, ChangeState, Fork, RunStatus, StepRow, StepState
from outlast.forks.reading import (
    CHECKS_AT_ONCE,
    EarlierRun,
    ForkError,
    Made,
    NoRunError,
    asked,
    described,
    request_of,
    status_of,
)
from outlast.undo import rollback_id
from outlast.undo.log import UndoLog


async def with_changes(client: Client, earlier: EarlierRun) -> EarlierRun:
    """Read what a run changed, and of what the runs before it changed all that matters to it.

    That is what still stands, and of steps that the run took over also what was undone since. Raises ForkError.
    """
    made = await _own(client, earlier.found, earlier.status)
    taken, fork = _taken(earlier.status), _fork_of(earlier.request)
    while fork is not None:
        try:
            before = await described(client, fork.run, fork.run_id or None)
        except NoRunError:  # what was known of it when it was forked is all that is left
            made += [Made(fork.run, _of_gone(fork.run, step)) for step in fork.changed]
            break
        status = await status_of(client, before)
        made += [each for each in await _own(client, before, status) if each.stands or each.step in taken]
        taken &= _taken(status)
        fork = _fork_of(await request_of(client, before))
    return replace(earlier, changes=tuple(made))


async def _own(client: Client, found: WorkflowExecutionDescription, status: RunStatus) -> list[Made]:
    """Return what a run changed itself, and agents that it asked, as rollbacks of it have left that."""
    changes = await asked(client, found, "changes", Changes)
    log = UndoLog()
    log.adopt(changes, found.id)
    await _take_over_below(client, status, log)
    made = [Made(found.id, change) for change in log.all().changes]
    if found.status is WorkflowExecutionStatus.RUNNING or not any(each.stands for each in made):
        return made
    names = [rollback_id(found.run_id), *(rollback_id(found.run_id, point.name) for point in changes.checkpoints)]
    undone: set[str] = set()
    waiting = iter(names)

    async def look() -> None:
        for name in waiting:
            undone.update(await _undone(client, found, name))

    async with asyncio.TaskGroup() as looking:
        for _ in range(min(CHECKS_AT_ONCE, len(names))):
            looking.create_task(look())
    return [
        Made(each.run, each.change.model_copy(update={"state": ChangeState.UNDONE}))
        if each.change.key in undone
        else each
        for each in made
    ]


async def _take_over_below(client: Client, status: RunStatus, log: UndoLog) -> None:
    """Add what agents changed that were at work in runs of their own: a run that was terminated never took that over."""
    for row in status.steps:
        if not row.run or row.state is not StepState.RUNNING:
            continue
        try:
            found = await described(client, row.run)
        except NoRunError:
            continue
        below = UndoLog()
        below.adopt(await asked(client, found, "changes", Changes), found.id)
        await _take_over_below(client, await status_of(client, found), below)
        log.take_over(below.all().changes, row.within)


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


def check_effects(standing: Sequence[Made], done: Sequence[str], planned: Sequence[StepRow] | None) -> None:
    """Refuse to do again what changed something, unless it was undone since or the fork has no such step any more."""
    names = None if planned is None else [row.step for row in planned]
    repeated = [one for one in standing if one.step not in done and (names is None or one.step in names)]
    if not repeated:
        return
    runs = list(dict.fromkeys(one.run for one in repeated))
    raise ForkError(
        f"steps that would run again changed something in run {', '.join(runs)} that still stands "
        f"({'; '.join(map(str, repeated[:5]))}). Undo it first: {'; '.join(command('rollback', run) for run in runs)}; or let it "
        "be done once more: --repeat-effects"
    )
