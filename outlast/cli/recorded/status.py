"""Status and trace of a run as its history and memo show them, for when no worker answers.

They show what ran, not what is planned: only the workflow's own state knows its steps before they begin.
"""

import re

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from outlast.agents.outcomes import forked_in_words
from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import Ended
from outlast.cli.recorded.reading import Call, RunHistory, read_history
from outlast.cli.recorded.why import spend_of
from outlast.contracts import (
    CallTrace,
    Fork,
    GateView,
    ModelRequest,
    Question,
    RunState,
    RunStatus,
    Spend,
    StandingApproval,
    StepRow,
    StepState,
    Trace,
)
from outlast.forks import FORKED_MEMO

STATES = {
    WorkflowExecutionStatus.RUNNING: RunState.RUNNING,
    WorkflowExecutionStatus.COMPLETED: RunState.COMPLETED,
    WorkflowExecutionStatus.CANCELED: RunState.CANCELLED,
}


async def recorded_status(
    reach: Reach,
    found: WorkflowExecutionDescription,
    gates: tuple[GateView, ...] = (),
    standing: tuple[StandingApproval, ...] = (),
    questions: tuple[Question, ...] = (),
) -> tuple[RunStatus, Trace]:
    """Read status and trace of a run from its history.

    Args:
        reach: The server.
        found: The run.
        gates: What waits for people, as its memo shows it.
        questions: What it asks people, as its memo shows it.
        standing: Approvals that cover further calls, as its memo shows them.
    """
    history = await read_history(reach, found)
    calls = traced(history, found.id)
    spend = Spend()
    for call in calls:
        spend = spend.plus(call.spend)
    status = RunStatus(
        workflow_id=found.id,
        pattern=re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", found.workflow_type.removesuffix("Workflow")).lower(),
        state=STATES.get(found.status, RunState.FAILED) if found.status else RunState.RUNNING,
        steps=tuple(rows_of(history).values()),
        spend=spend,
        gates=gates,
        standing=standing,
        questions=questions,
        forked=await _forked(found),
    )
    return status, Trace(calls=tuple(calls))


async def _forked(found: WorkflowExecutionDescription) -> str:
    """Read from the memo of a run where it comes from; "" where it is no fork."""
    memo = (await found.memo()).get(FORKED_MEMO)
    if not isinstance(memo, dict):
        return ""
    return forked_in_words(Fork(run=str(memo.get("run", "")), start=str(memo.get("from", ""))))


def rows_of(history: RunHistory) -> dict[str, StepRow]:
    """Make a row of each step that called anything."""
    states = {Ended.OPEN: StepState.RUNNING, Ended.DONE: StepState.DONE}
    rows = {}
    for step in history.steps:
        calls = history.of(step)
        last = calls[-1]
        agents = [call.asked.agent for call in calls if isinstance(call.asked, ModelRequest)]
        rows[step] = StepRow(
            step=step,
            agent=agents[0] if agents else "",
            state=states.get(last.event.how, StepState.FAILED),
            started=calls[0].event.scheduled,
            ended=last.event.ended,
            output=last.turn.content if last.turn is not None else None,
        )
    return rows


def traced(history: RunHistory, workflow_id: str = "") -> list[CallTrace]:
    """Write the model calls of a history that have ended as the trace would, as far as their answers tell."""
    return [_traced(call, workflow_id) for call in history.calls if call.is_model and call.event.how is not Ended.OPEN]


def _traced(call: Call, workflow_id: str) -> CallTrace:
    event = call.event
    took = (event.ended - event.scheduled).total_seconds() if event.ended else 0.0
    return CallTrace(
        workflow_id=workflow_id,
        step=call.step,
        agent=getattr(call.asked, "agent", ""),
        model=getattr(call.asked, "model", ""),
        started=event.scheduled,
        ms=round(took * 1000),
        success=event.how is Ended.DONE and not call.odd,
        attempt=event.attempt,
        spend=spend_of(call),
        error=event.failure,
    )
