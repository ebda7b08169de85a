"""Watching all runs of the namespace until Ctrl-C: new ones appear, and each that ends is reported once.

One list call each time finds all that run and all that has just ended; memos that come with it hold the gates, and only steps
and money need a worker. A thousand queries at once would be a load of their own, so at most a few are sent at a time, a hundred
each time, and those first whose runs were not asked for longest.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.live import Live
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from outlast.cli import rendering as pages
from outlast.cli.decisions.listing import gates_of
from outlast.cli.leaving import say
from outlast.cli.reaching import Reach, word
from outlast.cli.runs.listing import type_term
from outlast.cli.watching.board import Board, RunSeen
from outlast.cli.watching.outages import SERVER, Outages
from outlast.client import missing_attributes
from outlast.contracts import RunStatus

EVERY = 2.0
"""Seconds between two lists."""
LISTED = 5000
"""Most runs in one list: the newest of those that run."""
ASKED = 100
"""Most runs that are asked for their steps each time."""
AT_ONCE = 8
"""Most of them at the same time."""
ANSWERS_WITHIN = timedelta(seconds=3)
LATE = timedelta(seconds=60)
"""How far the index may be behind the runs: runs that ended within that time are looked for, and shown once."""


async def follow_all(reach: Reach) -> None:
    """Show all runs as they change, until the person leaves."""
    watch = _WatchAll(reach)
    out = pages.console()
    live = Live(console=out, auto_refresh=False) if sys.stdout.isatty() else nullcontext()
    with live as table:
        while True:
            for line in watch.board.take(await watch.look()):
                if table is None:
                    print(line, flush=True)
            if table is not None:
                table.update(watch.board.table(out.height - 1), refresh=True)
            await asyncio.sleep(EVERY)


class _WatchAll:
    """The looks at a namespace."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._outages = Outages(say)
        self._begun = datetime.now(UTC)
        self._since = self._begun
        self._asked: dict[str, float] = {}
        self._ended: set[str] = set()
        self._types: str | None = None
        self._limit = asyncio.Semaphore(AT_ONCE)
        self.board = Board()

    async def look(self) -> list[RunSeen]:
        """List what runs and what has ended since the last look, and ask some of them; nothing where no server answers."""
        asked_at = datetime.now(UTC)
        try:
            found = await self._list()
            statuses = await self._ask(found)
        except RPCError as error:
            if not self._outages.lost(error, asked=SERVER):
                raise
            return []
        self._outages.answered(SERVER)
        self._since = asked_at
        self._ended |= {run.run_id for run in found if run.close_time}
        return [await _seen(run, statuses.get(run.run_id)) for run in found]

    async def _list(self) -> list[WorkflowExecution]:
        if self._types is None:
            self._types = type_term(marked=await missing_attributes(self._reach.client) == [])
        since = max(self._begun, self._since - LATE)
        lately = f"(ExecutionStatus = 'Running' OR CloseTime > '{since:%Y-%m-%dT%H:%M:%S.%fZ}')"
        query = f"{self._types} AND {lately}" if self._types else lately
        listed = [run async for run in self._reach.client.list_workflows(query, limit=LISTED)]
        return [run for run in listed if run.run_id not in self._ended]

    async def _ask(self, found: Sequence[WorkflowExecution]) -> dict[str, RunStatus]:
        """Ask those that have just ended, and of those that run the ones not asked for longest."""
        queues = {run.task_queue for run in found}
        served = dict(zip(queues, await asyncio.gather(*map(self._reach.workers, queues)), strict=True))
        askable = [run for run in found if served[run.task_queue] and run.status is not CONTINUED]
        askable.sort(key=lambda run: (run.close_time is None, self._asked.get(run.run_id, 0.0)))
        now = asyncio.get_running_loop().time()
        chosen = askable[:ASKED]
        self._asked = {run.run_id: self._asked.get(run.run_id, 0.0) for run in found} | {
            run.run_id: now for run in chosen
        }
        answers = await asyncio.gather(*map(self._status, chosen))
        return {run.run_id: status for run, status in zip(chosen, answers, strict=True) if status is not None}

    async def _status(self, run: WorkflowExecution) -> RunStatus | None:
        handle: WorkflowHandle[Any, Any] = self._reach.client.get_workflow_handle(run.id, run_id=run.run_id)
        async with self._limit:
            try:
                status: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=ANSWERS_WITHIN)
            except (RPCError, WorkflowQueryFailedError):
                return None  # it is asked again the next time, and the list says meanwhile what the server knows
            return status


CONTINUED = WorkflowExecutionStatus.CONTINUED_AS_NEW


async def _seen(run: WorkflowExecution, status: RunStatus | None) -> RunSeen:
    try:
        gates = (await gates_of(run)).waiting if run.close_time is None else ()
    except ValueError:
        gates = ()
    kind = run.workflow_type.removesuffix("Workflow")
    return RunSeen(run.id, run.run_id, kind, word(run.status), run.start_time, run.close_time, gates, status)
