"""Reads all that a report is made of: history, queries where a worker answers, and answers and repairs from the result."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import (
    WorkflowContinuedAsNewError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)

from outlast.cli.kinds import page_of, partial
from outlast.cli.leaving import LeavingError, cause_of
from outlast.cli.reaching import Reach, word
from outlast.cli.recorded.delegates import whole_tree
from outlast.cli.recorded.reading import Call, RunHistory, read_history
from outlast.cli.report.figures import Outcome, Report, WorkerAnswers, report_of
from outlast.cli.result_texts import texts_of
from outlast.cli.results import Reader
from outlast.contracts import Changes, DecisionLog, PlanChange


async def read_report(reach: Reach, workflow_id: str) -> Report:
    """Read one run; raises LeavingError if there is none."""
    found = await reach.find(workflow_id, ours=False)
    history = _with_attempts(await read_history(reach, found), found)
    return report_of(
        workflow_id,
        found.workflow_type,
        word(found.status),
        reach.page_of(workflow_id),
        history,
        await _queried(reach, found),
        await _outcome(reach, found),
        datetime.now(UTC),
    )


def _with_attempts(history: RunHistory, found: WorkflowExecutionDescription) -> RunHistory:
    """Add what the server knows of calls that had not ended, or have not yet: history says nothing of an attempt until then."""
    begun = {
        one.activity_id: (
            one.last_started_time.ToDatetime(UTC)
            if one.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            else None,
            one.attempt,
        )
        for one in found.raw_description.pending_activities
    }

    def told(call: Call) -> Call:
        if call.ended is not None or call.event.id not in begun:
            return call
        started, attempt = begun[call.event.id]
        return replace(call, event=replace(call.event, started=started, attempt=attempt))

    return replace(history, calls=tuple(map(told, history.calls)))


async def _queried(reach: Reach, found: WorkflowExecutionDescription) -> WorkerAnswers | None:
    try:
        status, trace = await whole_tree(reach, await reach.status(found), await reach.trace(found))
        return WorkerAnswers(
            status=status,
            trace=trace,
            decisions=await reach.ask(found, "decisions", DecisionLog),
            changes=await reach.ask(found, "changes", Changes),
        )
    except (LeavingError, WorkflowQueryFailedError, ValueError):
        return None  # no worker, or a workflow that is none of ours


async def _outcome(reach: Reach, found: WorkflowExecutionDescription) -> Outcome:
    """Read what a run that has ended came to; texts that cannot be read here are left out."""
    if found.status is WorkflowExecutionStatus.RUNNING:
        return Outcome()
    kind = page_of(found.workflow_type)
    handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id, result_type=kind.result)
    failure = ""
    try:
        result: Any = await handle.result(follow_runs=False)
    except WorkflowContinuedAsNewError:
        return Outcome()
    except WorkflowFailureError as error:
        result, failure = partial(error.cause, found.workflow_type), cause_of(error)
    if result is None:
        return Outcome(failure=failure)
    try:
        page = await kind.read(Reader(reach.store(), reach.settings, found.id), result)
    except LeavingError:
        return Outcome(failure=failure)
    report: BaseModel | None = getattr(page, "report", None)
    changes = [change for change in getattr(report, "changes", ()) if isinstance(change, PlanChange)]
    return Outcome(texts_of(page), failure, tuple(changes))
