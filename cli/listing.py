"""The list of runs, newest first.

The trap: the server orders running runs before ended ones and takes no other order, so more are read than are shown.
"""

from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cli.pages import row, seconds, table
from cli.reaching import OURS, Reach, word

READ = 500
"""Fewest runs that are read to find the newest."""

STYLES = {"completed": "green", "running": "yellow", "failed": "red", "timed out": "red"}


async def newest(reach: Reach, limit: int) -> list[dict[str, Any]]:
    """Return our runs as data, the one that started last first."""
    types = ", ".join(f"'{name}'" for name in OURS)
    found = reach.client.list_workflows(f"WorkflowType IN ({types})", limit=max(limit, READ))
    runs = sorted([run async for run in found], key=lambda run: run.start_time, reverse=True)
    return [
        {
            "id": run.id,
            "run_id": run.run_id,
            "type": run.workflow_type,
            "status": word(run.status),
            "started": run.start_time.isoformat(),
            "closed": run.close_time.isoformat() if run.close_time else None,
            "seconds": round(((run.close_time or datetime.now(UTC)) - run.start_time).total_seconds(), 3),
        }
        for run in runs[:limit]
    ]


def runs_page(runs: list[dict[str, Any]]) -> list[RenderableType]:
    """Show the list."""
    if not runs:
        return [Text('no runs yet; start one: python starter.py plan "…" or python starter.py document FILE')]
    made = table("id", "type", "status", "started", "took")
    for run in runs:
        started = datetime.fromisoformat(run["started"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        status = Text(run["status"], style=STYLES.get(run["status"], ""))
        row(made, run["id"], run["type"].removesuffix("Workflow"), status, started, seconds(run["seconds"]))
    return [made]
