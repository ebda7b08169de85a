"""The demo: the sample documents go through their workflow, and in the middle the worker is killed.

While no worker runs, nothing answers a query; the last known state stays on the screen until the next worker does.
"""

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.live import Live
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from cli import PROJECT
from cli.demo.demo_view import ended_steps, finished, progress_table, result_table
from outlast.cli.leaving import cause_of
from outlast.cli.reaching import PASSING
from outlast.cli.rendering import dollars
from outlast.client import Settings
from outlast.contracts import RunState, RunStatus, Trace
from outlast.devstack.board import Board
from outlast.devstack.state import Child, StackState, identify, read_state
from outlast.documents.contracts import DocumentSource
from outlast.storage.activities import ContentStore
from workflows.contracts.documents import DocumentAnalysisRequest, DocumentAnalysisResult, DocumentReport
from workflows.document_analysis import DocumentAnalysisWorkflow

SAMPLES = PROJECT / "samples" / "documents"
KILL_AFTER = 2
"""Documents that are done when the worker is killed."""

LOOK_EVERY = 0.5
"""Seconds between looks at the run."""

QUERY_WITHIN = timedelta(seconds=3)

Handle = WorkflowHandle[DocumentAnalysisWorkflow, DocumentAnalysisResult]


class Demo:
    """One demo, on a stack that runs."""

    def __init__(self, settings: Settings, client: Client, state: StackState, board: Board) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._store = ContentStore.open(settings.store_url, settings.content_inline_bytes, seal=settings.seal())
        self._names: list[str] = []
        self._before_crash: Trace | None = None
        self._killed: Child | None = None
        self._note = ""

    async def run(self, *, kill: bool) -> bool:
        """Analyse the samples; returns whether every document succeeded."""
        sources = [await self._source(path) for path in sorted(SAMPLES.iterdir()) if path.is_file()]
        self._names = [source.name for source in sources]
        handle: Handle = await self._client.start_workflow(
            DocumentAnalysisWorkflow.run,
            DocumentAnalysisRequest(documents=tuple(sources), max_parallel=2),
            id=f"demo-documents-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            task_queue=self._state.task_queue or self._settings.task_queue,
            static_summary=f"Demo: analyse {len(sources)} sample documents",
        )
        self._board.say(f"Run {handle.id} analyses {len(sources)} documents: {self._state.run_url(handle.id)}", "bold")
        result: asyncio.Task[DocumentAnalysisResult] = asyncio.create_task(_result_of(handle))
        try:
            await self._follow(handle, result, kill=kill)
            return await self._report(handle, await result)
        except WorkflowFailureError as error:
            self._board.say(f"✗ the run failed: {cause_of(error)}", "bold red")
            return False
        finally:
            result.cancel()

    async def _source(self, path: Path) -> DocumentSource:
        data = await asyncio.to_thread(path.read_bytes)
        return DocumentSource(name=path.name, ref=await self._store.put(data), size=len(data))

    async def _follow(self, handle: Handle, result: "asyncio.Task[DocumentAnalysisResult]", *, kill: bool) -> None:
        """Show the run until it ends, and kill the worker on the way."""
        began = time.monotonic()
        status: RunStatus | None = None
        look = asyncio.create_task(self._status(handle))
        with Live(console=self._board.console, auto_refresh=False, transient=True) as live:
            while not result.done():
                self._look_for_new_worker()
                if look.done():
                    if seen := look.result():
                        self._show_changes(status, seen)
                        status = seen
                    if kill and KILL_AFTER <= finished(status) < len(self._names):
                        kill = not await self._kill_worker(handle)
                    look = asyncio.create_task(self._status(handle))
                if self._board.console.is_terminal:
                    table = progress_table(self._names, status, time.monotonic() - began, self._note)
                    live.update(table, refresh=True)
                await asyncio.wait([result], timeout=LOOK_EVERY)
        look.cancel()
        if kill:
            self._board.say("No worker was killed: the run ended before, or the stack runs none.", "yellow")

    async def _status(self, handle: Handle) -> RunStatus | None:
        try:
            return await handle.query(DocumentAnalysisWorkflow.status, rpc_timeout=QUERY_WITHIN)
        except (RPCError, WorkflowQueryFailedError):
            return None

    def _show_changes(self, before: RunStatus | None, now: RunStatus) -> None:
        if self._board.console.is_terminal:
            return
        for row in ended_steps(before, now):
            self._board.say(f"  {row.step}: {row.state.value}")

    async def _kill_worker(self, handle: Handle) -> bool:
        """Kill the stack's worker as a crash would; returns whether there was one."""
        state = read_state(self._settings.state_dir)
        worker = state.children.get("worker") if state else None
        if worker is None or identify(worker.pid) != worker:
            return False
        try:
            self._before_crash = await handle.query(DocumentAnalysisWorkflow.trace_query, rpc_timeout=QUERY_WITHIN)
        except (RPCError, WorkflowQueryFailedError):
            return False
        os.kill(worker.pid, signal.SIGKILL)
        self._killed = worker
        calls = len(self._before_crash.calls)
        self._board.say(
            f"⚡ kill -9 {worker.pid}: the worker is dead, {calls} model calls into the run.", "bold yellow"
        )
        self._note = "worker killed, waiting for the next one"
        return True

    def _look_for_new_worker(self) -> None:
        if self._killed is None:
            return
        state = read_state(self._settings.state_dir)
        worker = state.children.get("worker") if state else None
        if worker is not None and worker != self._killed:
            self._board.say(
                f"↻ The supervisor started worker {worker.pid}; the run goes on where it was.", "bold green"
            )
            self._killed, self._note = None, "a new worker took over"

    async def _report(self, handle: Handle, result: DocumentAnalysisResult) -> bool:
        report = DocumentReport.model_validate_json(await self._store.text(result.report))
        calls = report.trace.calls
        console, spend = self._board.console, result.spend
        console.print(result_table(result, calls))
        self._board.say(
            f"Total: {spend.input_tokens + spend.output_tokens:,} tokens, {dollars(spend)}, run {handle.id}\n"
            f"  {self._state.run_url(handle.id)}"
        )
        self._board.say(*self._calls_line(report))
        return result.state is RunState.COMPLETED

    def _calls_line(self, report: DocumentReport) -> tuple[str, str]:
        """Return whether a finished call was made again: the calls known before the crash must be the first of the report."""
        calls = report.trace.calls
        if self._before_crash is None:
            return f"Finished model calls: {len(calls)}.", ""
        before = self._before_crash.calls
        if calls[: len(before)] != before:
            return "✗ Calls that were finished before the crash are not the same in the report.", "bold red"
        again = sum(call.attempt > 1 for call in calls)
        cut_off = f" ({again} cut off by the crash and asked again)" if again else ""
        return f"✓ Finished model calls: {len(calls)}, none repeated{cut_off}; {len(before)} before the crash.", "green"


async def _result_of(handle: Handle) -> DocumentAnalysisResult:
    """Wait for the result through outages, without the advice to start a worker: the supervisor does that."""
    while True:
        try:
            return await handle.result()
        except RPCError as error:
            if error.status not in PASSING:
                raise
            await asyncio.sleep(0.5)
