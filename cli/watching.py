"""Following a run until it ends: a live table in a terminal, a line for each change elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.live import Live
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from cli import pages
from cli.leaving import FAILED, LeavingError, cause_of
from cli.reaching import Reach, no_worker
from cli.results import KINDS
from cli.waiting import Seen, may_be_left, result_of
from workflows.contracts import DocumentAnalysisResult, RunStatus, StepState

EVERY = 0.5
"""Seconds between two looks."""


async def follow(reach: Reach, workflow_id: str) -> None:
    """Show a run's steps as they change, until it ends; raises LeavingError with the cause if it failed."""
    found = await reach.find(workflow_id)
    if found.status is WorkflowExecutionStatus.RUNNING and not await reach.served(found.task_queue):
        raise no_worker(found.task_queue, f"run {workflow_id!r} is still running")
    kind = KINDS[found.workflow_type].result
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id, result_type=kind)
    complaint = ""
    with may_be_left(workflow_id), _shown() as seen:
        try:
            result = await result_of(handle, seen=seen, every=EVERY)
            if isinstance(result, DocumentAnalysisResult):
                failed = [document for document in result.documents if document.error]
                complaint = "; ".join(f"{one.name}: {one.error_kind}: {one.error}" for one in failed)
        except WorkflowFailureError as error:
            complaint = cause_of(error)
        with suppress(LeavingError):  # without a worker the last look is missing, which is no failure of the run
            seen(await reach.ask(found, "status", RunStatus))
    if complaint:
        raise LeavingError(FAILED, complaint)
    print(f"{workflow_id} is done: starter.py result {workflow_id}")


@contextmanager
def _shown() -> Iterator[Seen]:
    if not sys.stdout.isatty():
        yield _Lines()
        return
    out = pages.console()
    with Live(console=out, auto_refresh=False) as live:
        yield lambda status: live.update(pages.status_page(status, room=out.height - 4), refresh=True)


class _Lines:
    """Prints a line whenever a step changes its state."""

    def __init__(self) -> None:
        self._known: dict[str, StepState] = {}

    def __call__(self, status: RunStatus) -> None:
        for step in status.steps:
            if self._known.get(step.step) is not step.state and step.state is not StepState.PENDING:
                took = pages.duration(step.started, step.ended) if step.ended else ""
                print(" · ".join(filter(None, (str(step.state), step.step, step.agent, took, step.note))), flush=True)
            self._known[step.step] = step.state
