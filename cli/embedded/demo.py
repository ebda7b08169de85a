"""The demo: the sample documents go through their workflow, and in the middle the worker is killed.

The trap: while no worker runs, a query finds nobody to answer it; the last known state stays on the screen until one does.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.live import Live
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.content import ContentStore
from activities.contracts import DocumentSource
from bootstrap import PROJECT, Settings
from cli.embedded.board import Board
from cli.embedded.demo_view import ended_steps, finished, progress_table, result_table
from cli.embedded.state import StackState, identify, read_state
from workflows.contracts import (
    CallTrace,
    DocumentAnalysisRequest,
    DocumentAnalysisResult,
    DocumentReport,
    RunState,
    RunStatus,
    Trace,
)
from workflows.document_analysis import DocumentAnalysisWorkflow

SAMPLES = PROJECT / "samples" / "documents"
KILL_AFTER = 2
"""Documents that are through when the worker is killed."""

LOOK_EVERY = 0.3
"""Seconds between looks at the run."""

Handle = WorkflowHandle[DocumentAnalysisWorkflow, DocumentAnalysisResult]


class Demo:
    """One showing, on a stack that runs."""

    def __init__(self, settings: Settings, client: Client, state: StackState, board: Board) -> None:
        self._settings = settings
        self._client = client
        self._state = state
        self._board = board
        self._store = ContentStore.open(settings.store_url, settings.content_inline_bytes)
        self._began = time.monotonic()
        self._kept: tuple[CallTrace, ...] | None = None
        self._note = ""

    async def run(self, *, kill: bool) -> bool:
        """Analyse the samples; returns whether every document succeeded."""
        sources = [await self._source(path) for path in sorted(SAMPLES.iterdir()) if path.is_file()]
        handle: Handle = await self._client.start_workflow(
            DocumentAnalysisWorkflow.run,
            DocumentAnalysisRequest(documents=tuple(sources), max_parallel=2),
            id=f"demo-documents-{datetime.now(UTC):%Y%m%d-%H%M%S}",
            task_queue=self._state.task_queue or self._settings.task_queue,
            static_summary=f"Demo: analyse {len(sources)} sample documents",
        )
        self._board.say(f"Run {handle.id} analyses {len(sources)} documents: {self._state.run_url(handle.id)}")
        result = asyncio.create_task(handle.result())
        try:
            await self._follow(handle, result, kill=kill)
            return await self._report(handle, await result)
        except WorkflowFailureError as error:
            self._board.say(f"✗ the run failed: {error.cause}", "bold red")
            return False
        finally:
            result.cancel()

    async def _source(self, path: Path) -> DocumentSource:
        data = path.read_bytes()
        return DocumentSource(name=path.name, ref=await self._store.put(data), size=len(data))

    async def _follow(self, handle: Handle, result: "asyncio.Task[DocumentAnalysisResult]", *, kill: bool) -> None:
        """Show the run until it ends, and kill the worker on the way."""
        status: RunStatus | None = None
        console = self._board.console
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not result.done():
                seen = await self._status(handle)
                if seen is not None:
                    self._show_changes(status, seen)
                    status = seen
                if status is not None and console.is_terminal:
                    live.update(progress_table(status, time.monotonic() - self._began, self._note), refresh=True)
                if kill and status is not None and KILL_AFTER <= finished(status) < len(status.documents):
                    kill = not await self._kill_worker(handle, status)
                await asyncio.wait([result], timeout=LOOK_EVERY)
