"""Reads all that a report is made of: history, queries where a worker answers, and the plan's repairs from the result."""

from datetime import UTC, datetime

from pydantic import BaseModel
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowQueryFailedError

from cli.leaving import LeavingError
from cli.reaching import Reach, word
from cli.recorded.reading import read_history
from cli.report.figures import Report, Told, report_of
from cli.results import KINDS, Reader
from workflows.contracts import Changes, DecisionLog, PlanChange, RunStatus, Trace


async def read_report(reach: Reach, workflow_id: str) -> Report:
    """Read one run; raises LeavingError if there is none."""
    found = await reach.find(workflow_id, ours=False)
    history = await read_history(reach, found)
    return report_of(
        workflow_id,
        found.workflow_type,
        word(found.status),
        reach.page_of(workflow_id),
        history,
        await _told(reach, found),
        await _repairs(reach, found),
        datetime.now(UTC),
    )


async def _told(reach: Reach, found: WorkflowExecutionDescription) -> Told | None:
    try:
        return Told(
            status=await reach.ask(found, "status", RunStatus),
            trace=await reach.ask(found, "trace", Trace),
            decisions=await reach.ask(found, "decisions", DecisionLog),
            changes=await reach.ask(found, "changes", Changes),
        )
    except (LeavingError, WorkflowQueryFailedError, ValueError):
        return None  # no worker, or a workflow that is none of ours


async def _repairs(reach: Reach, found: WorkflowExecutionDescription) -> tuple[PlanChange, ...]:
    """Read what was changed about a plan from the report that its result refers to; a run that goes on has none yet."""
    kind = KINDS.get(found.workflow_type)
    if found.status is not WorkflowExecutionStatus.COMPLETED or kind is None:
        return ()
    handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id, result_type=kind.result)
    try:
        page = await kind.read(Reader(reach.store(), reach.settings, found.id), await handle.result())
    except LeavingError:
        return ()
    report: BaseModel | None = getattr(page, "report", None)
    changes = getattr(report, "changes", ())
    return tuple(change for change in changes if isinstance(change, PlanChange))
