"""What is done with schedules that are there: listing them, starting a run now, and making up for a time gone by."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleListDescription,
    ScheduleOverlapPolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from outlast.cli.leaving import FAILED, WRONG, LeavingError
from outlast.cli.printing import counted
from outlast.cli.reaching import Reach
from outlast.cli.rendering import local_time, row, table
from outlast.command_line import command

COMMAND_MEMO, CRON_MEMO = "command", "cron"
"""Memo fields of a schedule: what was typed, which the server does not keep."""
STARTS_WITHIN = 10.0
"""Seconds in which the server starts what was triggered."""
MOST_BACKFILLED = 1000
"""As many runs the server keeps waiting for one schedule; more would be lost."""


def policy_of(word: str) -> ScheduleOverlapPolicy:
    """Return the policy that a word of the command line means."""
    return ScheduleOverlapPolicy[word.replace("-", "_").upper()]


def read_when(given: str, option: str) -> datetime:
    """Read a date, or a date with a time; one without a zone is local. Raises LeavingError that names the option."""
    try:
        return datetime.fromisoformat(given.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LeavingError(WRONG, f"{option} {given}: write a date such as 2026-11-25 or 2026-11-25T09:00") from None


@asynccontextmanager
async def the_schedule(reach: Reach, name: str) -> AsyncIterator[ScheduleHandle]:
    """Give the handle of a schedule; raises LeavingError if there is none of that name."""
    try:
        yield reach.client.get_schedule_handle(name)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or error.message.lower().startswith("namespace"):
            raise
        shown = command("schedule list")
        raise LeavingError(WRONG, f"there is no schedule {name!r}; '{shown}' shows those there are") from error


async def found_schedules(reach: Reach) -> list[dict[str, Any]]:
    """Return all schedules of the namespace as data, by name; also those that other programs made."""
    found = [await _as_data(each) async for each in await reach.client.list_schedules()]
    return sorted(found, key=lambda each: each["name"])


async def _as_data(listed: ScheduleListDescription) -> dict[str, Any]:
    memo, info, kept = await listed.memo(), listed.info, listed.schedule
    paused = kept is not None and kept.state.paused
    following = info.next_action_times if info else ()
    return {
        "name": listed.id,
        "workflow": getattr(kept.action, "workflow", "") if kept else "",
        "command": memo.get(COMMAND_MEMO, ""),
        "cron": memo.get(CRON_MEMO, []),
        "by": memo.get("by", ""),
        "timezone": (kept.spec.time_zone_name if kept else None) or "UTC",
        "paused": paused,
        "note": (kept.state.note if kept else None) or "",
        "next": following[0].isoformat() if following and not paused else None,
        "last_run": _run_of(info.recent_actions[-1]) if info and info.recent_actions else None,
    }


def schedules_page(found: list[dict[str, Any]]) -> list[RenderableType]:
    """Show the list."""
    if not found:
        return [Text("no schedules yet")]
    made = table("name", "when", "next", "last run", "what")
    for each in found:
        when = f"{' · '.join(each['cron'])} {each['timezone']}" if each["cron"] else "as its program said"
        following = local_time(datetime.fromisoformat(each["next"])) if each["next"] else ""
        stands = Text(each["note"] or "paused", style="yellow") if each["paused"] else Text(following)
        row(made, each["name"], when, stands, each["last_run"] or "", each["command"] or each["workflow"])
    return [made]


async def trigger_now(reach: Reach, name: str, overlap: str | None) -> str:
    """Start a run now and say which; raises LeavingError where it is skipped because one goes on."""
    async with the_schedule(reach, name) as handle:
        before = (await handle.describe()).info
        known = {_run_of(each) for each in before.recent_actions}
        await handle.trigger(overlap=policy_of(overlap) if overlap else None)
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            described = await handle.describe()
            if new := [run for each in described.info.recent_actions if (run := _run_of(each)) not in known]:
                return f"started {new[-1]}: {command('watch', new[-1])}"
            if described.info.num_actions_skipped_overlap > before.num_actions_skipped_overlap:
                raise LeavingError(
                    FAILED, f"skipped: a run of {name} still goes on; --overlap says what else to do then"
                )
            if described.raw_description.info.buffer_size:
                return f"it starts once the run of {name} that goes on has ended"
            await asyncio.sleep(0.1)
    return f"{name} is triggered, and the server has not started it yet: {command('schedule list')}"


async def fill(reach: Reach, name: str, first: datetime, last: datetime, overlap: str, *, again: bool = False) -> str:
    """Start the runs of a time gone by and say how many; raises LeavingError where there are none, or too many.

    The server starts a run of the same id a second time. So times that have had theirs are refused, unless it shall be `again`.
    """
    if first > last or last > datetime.now(UTC):
        raise LeavingError(WRONG, "--from and --to: write two times that have gone by, the earlier one first")
    async with the_schedule(reach, name) as handle:
        before = first - timedelta(
            milliseconds=1
        )  # the server leaves the first moment out, here and, where it is older, below
        asked = ListScheduleMatchingTimesRequest(namespace=reach.client.namespace, schedule_id=name)
        asked.start_time.FromDatetime(before)
        asked.end_time.FromDatetime(last)
        times = (await reach.client.workflow_service.list_schedule_matching_times(asked)).start_time
        matching = len(times)
        if not 0 < matching <= MOST_BACKFILLED:
            raise LeavingError(
                WRONG,
                f"--from and --to: {matching} times lie between them; choose 1 to {MOST_BACKFILLED}, nothing was started",
            )
        ids = [each.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in times]
        if not again and (had := await _runs_had(reach, await _named_by(handle), ids)):
            shown = ", ".join(had[:3]) + (" …" if len(had) > 3 else "")
            raise LeavingError(
                WRONG,
                f"{len(had)} of {counted(matching, 'run')} were started before ({shown}); --again starts them once more, or "
                "choose other times; nothing was started",
            )
        await handle.backfill(ScheduleBackfill(before, last, policy_of(overlap)))
    return f"{counted(matching, 'run')} of {name}, from {local_time(first)} to {local_time(last)}: {command('list')}"


async def _named_by(handle: ScheduleHandle) -> str:
    """Return what the ids of a schedule's runs begin with."""
    action = (await handle.describe()).schedule.action
    return action.id if isinstance(action, ScheduleActionStartWorkflow) else handle.id


async def _runs_had(reach: Reach, name: str, times: list[str]) -> list[str]:
    """Return the ids of the runs that have been started for these times, and are still kept."""
    asking = asyncio.Semaphore(20)

    async def started(run: str) -> bool:
        async with asking:
            try:
                await reach.client.get_workflow_handle(run).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
            return True

    runs = [f"{name}-{time}" for time in times]
    found = await asyncio.gather(*map(started, runs))
    return [run for run, there in zip(runs, found, strict=True) if there]


def _run_of(result: ScheduleActionResult) -> str:
    action = result.action
    return action.workflow_id if isinstance(action, ScheduleActionExecutionStartWorkflow) else ""
