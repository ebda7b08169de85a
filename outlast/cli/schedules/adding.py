"""Adds a schedule: the start command is run as it stands, and what it would have started is what the schedule starts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import typer
from pydantic import BaseModel
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import Priority
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.decisions.users import user_name
from outlast.cli.kinds import kinds
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.printing import print_json
from outlast.cli.reaching import Reach
from outlast.cli.rendering import local_time, safe
from outlast.cli.runs.running import marks, taking_starts
from outlast.cli.schedules.operating import COMMAND_MEMO, CRON_MEMO, policy_of
from outlast.command_line import command
from outlast.display import quoted

MOST_COMMAND = 200
"""Longest command that is kept to be shown, in characters."""


@dataclass(frozen=True)
class Times:
    """When a schedule starts its runs, and what it does where one still goes on."""

    cron: tuple[str, ...]
    timezone: str | None
    overlap: str


def add_schedule(context: typer.Context, name: str, words: list[str], times: Times, *, as_json: bool) -> None:
    """Add a schedule that starts what these words would; raises LeavingError where they start nothing."""
    if not name.strip():
        raise LeavingError(WRONG, "NAME is empty; name the schedule")
    group: Any = context.find_root()
    starting = group.command.get_command(group, words[0])
    startable = sorted(kind.command for kind in kinds() if _starts(group.command.get_command(group, kind.command)))
    if words[0] not in startable:
        known = f"write one of {', '.join(startable)}" if startable else "this program has none"
        raise LeavingError(WRONG, f"{words[0]} is no command that starts a run; {known}")
    added: list[str] = []

    async def keep(reach: Reach, workflow: str, request: BaseModel, **start: Any) -> None:
        handle = await _create(reach, name, words, times, (workflow, request), **start)
        following = (await handle.describe()).info.next_action_times
        if not following:
            await handle.delete()
            cron = " ".join(map(quoted, times.cron))
            raise LeavingError(WRONG, f"--cron {cron}: that time never comes; nothing was added")
        added.append(name)
        if as_json:
            print_json({"name": name, "next": [each.isoformat() for each in following]})
        else:
            print(safe(f"{name} is added; first run: {local_time(following[0])}"))

    with taking_starts(keep), starting.make_context(words[0], ["--detach", *words[1:]], parent=group) as made:
        starting.invoke(made)
    if not added:
        raise LeavingError(WRONG, f"'{' '.join(map(quoted, words))}' starts no run; nothing was added")


def _starts(known: Any) -> bool:
    return known is not None and any(parameter.name == "detach" for parameter in known.params)


async def _create(
    reach: Reach,
    name: str,
    words: list[str],
    times: Times,
    what: tuple[str, BaseModel],
    *,
    workflow_id: str | None,
    summary: str,
    queue: str,
    priority: Priority,
    delay: timedelta | None,
) -> ScheduleHandle:
    if workflow_id is not None:
        raise LeavingError(WRONG, f"--id: leave it out; the runs of a schedule are named {name}-TIME")
    if delay is not None:
        raise LeavingError(WRONG, "--delay: leave it out; --cron says when")
    workflow, request = what
    action = ScheduleActionStartWorkflow(
        workflow,
        request,
        id=name,
        task_queue=queue,
        priority=priority,
        static_summary=summary[:200] or None,
        typed_search_attributes=await marks(reach, workflow),
    )
    spec = ScheduleSpec(cron_expressions=times.cron, time_zone_name=times.timezone)
    memo = {COMMAND_MEMO: " ".join(map(quoted, words))[:MOST_COMMAND], CRON_MEMO: list(times.cron), "by": user_name()}
    try:
        return await reach.client.create_schedule(
            name, Schedule(action, spec=spec, policy=SchedulePolicy(overlap=policy_of(times.overlap))), memo=memo
        )
    except ScheduleAlreadyRunningError:
        raise LeavingError(
            WRONG, f"there is a schedule {name!r} already; choose another name, or '{command('schedule delete', name)}'"
        ) from None
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        option = "NAME" if "exceeds" in error.message else "--timezone" if "time zone" in error.message else "--cron"
        said = error.message.removeprefix("Invalid schedule spec: ")
        raise LeavingError(WRONG, f"{option}: {said}; nothing was added") from error
