"""The step trace for programs: JSON lines, whole or as the calls end."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import WorkflowExecutionStatus

from outlast.cli.leaving import WRONG, LeavingError, say
from outlast.cli.printing import plain, written_json
from outlast.cli.reaching import Reach, WorkerBusyError
from outlast.cli.rendering import show
from outlast.cli.runs.trace_page import call_line
from outlast.contracts import CallTrace

EVERY = 0.5
"""Seconds between two looks."""


def write_lines(calls: Sequence[CallTrace], file: Path, *, more: bool = False) -> None:
    """Write one JSON object per call (- is stdout), `more` of them after those that are there; raises LeavingError."""
    lines = "".join(written_json(plain(call)) + "\n" for call in calls)
    if str(file) == "-":
        sys.stdout.write(lines)
        sys.stdout.flush()
        return
    try:
        with file.open("a" if more else "w", encoding="utf-8") as out:
            out.write(lines)
    except OSError as error:
        raise LeavingError(WRONG, f"--jsonl {file} cannot be written ({error.strerror or error})") from error


async def follow_trace(reach: Reach, workflow_id: str, file: Path | None) -> None:
    """Print or write each call when it has ended, until the run ends."""
    known, warned = 0, False
    if file is not None:
        write_lines((), file)
    while True:
        found = await reach.find(workflow_id)
        try:
            calls = (await reach.trace(found)).calls
        except WorkerBusyError as busy:
            if not warned:
                say(f"{busy}; still following …")
            warned = True
            await asyncio.sleep(EVERY)
            continue
        warned = False
        # A run of an older release that has continued as new tells the calls of its latest part alone.
        fresh = calls[known:] if len(calls) >= known else calls
        known = len(calls)
        if file is None:
            show(call_line(call) for call in fresh)
        else:
            write_lines(fresh, file, more=True)
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return
        await asyncio.sleep(EVERY)
