"""The list of runs, newest first.

The server orders running runs before ended ones and takes no other order, so more are read than are shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ROLLBACK, kinds, types_of
from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import Reach, begins_at, word
from outlast.cli.rendering import local_time, row, seconds, table
from outlast.client import missing_attributes
from outlast.command_line import command

READ = 500
"""Fewest runs that are read to find the newest."""

STYLES = {"completed": "green", "running": "yellow", "failed": "red", "timed out": "red"}


AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FAILED = ("Failed", "TimedOut", "Terminated")
DELIVERY = "WebhookWorkflow"
"""Deliveries of webhooks: each belongs to a run, and none is one of agents."""


@dataclass(frozen=True)
class Wanted:
    """Which runs to list.

    `since` counts those that began or ended after it; `types` are commands that start runs, or workflow types (none: all runs of
    agents).
    """

    failed: bool = False
    running: bool = False
    since: datetime | None = None
    types: tuple[str, ...] = ()

    def query(self, *, marked: bool) -> str:
        """Write it as the server's visibility takes it; `marked` says whether the namespace has our search attributes."""
        terms = [term for term in (type_term(self.types, marked=marked),) if term]
        states = (*(FAILED if self.failed else ()), *(("Running",) if self.running else ()))
        if states:
            terms.append(f"ExecutionStatus IN ({', '.join(map(repr, states))})")
        if self.since:
            when = f"'{self.since:%Y-%m-%dT%H:%M:%SZ}'"
            terms.append(f"(StartTime > {when} OR CloseTime > {when})")
        return " AND ".join(terms)


def type_term(types: Sequence[str] = (), *, marked: bool) -> str:
    """Write which workflow types to look for as a term of a query, "" for all.

    Runs of agents are those that a starter marked, and those of a type that the application registered. The library alone knows
    no types, and runs that a program started carry no mark: then every run is listed but for
    deliveries of webhooks.
    """
    registered = [kind.workflow for kind in kinds()]
    if not types and registered == [ROLLBACK]:
        return f"WorkflowType != '{DELIVERY}'"
    names = types_of(types) if types else registered
    term = f"WorkflowType IN ({', '.join(map(quoted_name, names))})"
    return f"(AgentPattern IS NOT NULL OR {term})" if marked and not types else term


def quoted_name(name: str) -> str:
    """Quote a workflow type for a query; raises LeavingError for one that no query can hold."""
    if "'" in name or "\\" in name or not name.strip() or not name.isprintable():
        raise LeavingError(WRONG, f"--type {name}: write a command that starts runs, or a workflow type")
    return f"'{name}'"


def read_since(given: str, now: datetime) -> datetime:
    """Read `2d` (s, m, h, d, w) or a date; raises LeavingError that says what to write."""
    try:
        if ago := AGO.fullmatch(given.strip()):
            return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        when = datetime.fromisoformat(given.strip())
    except (ValueError, OverflowError):
        raise LeavingError(
            WRONG, f"--since {given}: write how long ago (90m, 12h, 2d, 1w) or a date (2026-11-25)"
        ) from None
    return when.astimezone(UTC)


async def newest(reach: Reach, limit: int, wanted: Wanted) -> list[dict[str, Any]]:
    """Return runs of agents as data, the one that started last first."""
    marked = not wanted.types and await missing_attributes(reach.client) == []
    found = reach.client.list_workflows(wanted.query(marked=marked), limit=max(limit, READ))
    now = datetime.now(UTC)
    runs = sorted([run async for run in found], key=lambda run: run.start_time, reverse=True)
    return [
        {
            "id": run.id,
            "run_id": run.run_id,
            "type": run.workflow_type,
            "status": word(run.status),
            "started": run.start_time.isoformat(),
            "closed": run.close_time.isoformat() if run.close_time else None,
            "begins": begins.isoformat() if (begins := begins_at(run)) else None,
            "seconds": round(
                max(((run.close_time or now) - (run.execution_time or run.start_time)).total_seconds(), 0), 3
            ),
        }
        for run in runs[:limit]
    ]


def runs_page(runs: list[dict[str, Any]], wanted: Wanted) -> list[RenderableType]:
    """Show the list."""
    if not runs and wanted != Wanted():
        return [Text(f"no such runs; '{command('list')}' shows all")]
    if not runs:
        return [Text("no runs yet")]
    made = table("id", "type", "status", "started", "took")
    for run in runs:
        started, status = local_time(datetime.fromisoformat(run["started"])), run["status"]
        if run["begins"]:
            status = f"begins {local_time(datetime.fromisoformat(run['begins']))}"
        shown = Text(status, style=STYLES.get(run["status"], ""))
        row(made, run["id"], run["type"].removesuffix("Workflow"), shown, started, seconds(run["seconds"]))
    return [made]
