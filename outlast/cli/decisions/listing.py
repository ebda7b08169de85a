"""The gates and questions that wait for people, read from the server alone: of one run, or of all runs in the namespace.

The index knows only gates that opened once all search attributes were registered, and would hide the others. So every
running run is read, unless the caller asks for what is `indexed`, in namespaces that are too large for that.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import WorkflowExecution, WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError

from outlast.cli.leaving import WRONG, LeavingError
from outlast.cli.reaching import Reach
from outlast.client import missing_attributes
from outlast.command_line import command
from outlast.contracts import (
    GATE_MEMO,
    GATES_MEMO,
    QUESTION_MEMO,
    Content,
    GatesShown,
    GateView,
    ProposedAction,
    Question,
    WaitingActions,
)
from outlast.display import escaped_json

RUNNING = "ExecutionStatus = 'Running'"
ANSWERS_WITHIN = 3.0
"""Seconds in which a living worker answers a query."""
INDEXED = f"{RUNNING} AND PendingGate IS NOT NULL"
FAR = datetime.max.replace(tzinfo=UTC)
"""Stands for the deadline of a question that has none: it comes last."""


@dataclass(frozen=True)
class WaitingGate:
    """A gate that waits, and the run that it belongs to; `turned_down` are that run's newest messages that changed nothing."""

    workflow_id: str
    run_id: str
    workflow_type: str
    gate: GateView
    turned_down: tuple[str, ...] = ()


@dataclass(frozen=True)
class WaitingQuestion:
    """A question that waits for an answer, and the run that it belongs to."""

    workflow_id: str
    run_id: str
    workflow_type: str
    question: Question


async def questions_of(run: WorkflowExecution) -> tuple[Question, ...]:
    """Read what a run asks people, but for what a gate shows as well. Raises ValueError for memos of others."""
    fields = [name for name in run.raw_info.memo.fields if name.startswith(QUESTION_MEMO)]
    asked = [await run.memo_value(name, type_hint=Question) for name in fields]
    return tuple(sorted(asked, key=lambda question: (question.deadline or FAR, question.id)))


async def gates_of(run: WorkflowExecution) -> GatesShown:
    """Read what waits at a run's gates; nothing where it has never opened one. Raises ValueError for memos of others."""
    shown: GatesShown = await run.memo_value(GATES_MEMO, GatesShown(), type_hint=GatesShown)
    fields = [name for name in run.raw_info.memo.fields if name.startswith(GATE_MEMO)]
    views = [await run.memo_value(name, type_hint=GateView) for name in fields]
    waiting = sorted(views, key=lambda view: (view.opened is None, view.opened, view.name))
    return shown.model_copy(update={"waiting": tuple(waiting)})


async def whole(reach: Reach, found: WorkflowExecutionDescription, gates: Sequence[GateView]) -> list[GateView]:
    """Show the arguments of gates in full: from the content store where they are kept there, else from a worker that answers.

    What cannot be had in full, or is no longer what the gate is about, stays cut.
    """
    shown = [await _kept_whole(reach, gate) for gate in gates]
    if all(gate.whole for gate in shown) or not await reach.served(found):
        return shown
    handle = reach.client.get_workflow_handle(found.id, run_id=found.run_id)
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            proposed = await handle.query("proposed", result_type=WaitingActions)
    except Exception:  # a workflow of others, or a worker that is gone
        return shown
    return [_as_proposed(gate, proposed) for gate in shown]


async def _kept_whole(reach: Reach, gate: GateView) -> GateView:
    if gate.whole or gate.ref is None:
        return gate
    kept = ProposedAction(description="", agent=gate.agent, tool=gate.tool, ref=gate.ref, target=gate.target)
    if kept.digest != gate.digest:
        return gate
    try:
        text = await reach.store().text(Content(ref=gate.ref))
    except ApplicationError:
        return gate
    return gate.model_copy(update={"arguments": escaped_json(text), "whole": True})


def _as_proposed(gate: GateView, proposed: WaitingActions) -> GateView:
    action = proposed.actions.get(gate.name)
    if gate.whole or action is None or action.digest != gate.digest or action.ref is not None:
        return gate
    return gate.model_copy(
        update={"arguments": escaped_json(json.dumps(dict(action.input), ensure_ascii=False)), "whole": True}
    )


async def waiting_gates(reach: Reach, *, indexed: bool = False) -> list[WaitingGate]:
    """List all waiting gates of the namespace, nearest deadline first; it is a moment behind the runs."""
    return [one for one in await waiting_for_people(reach, indexed=indexed) if isinstance(one, WaitingGate)]


async def waiting_for_people(reach: Reach, *, indexed: bool = False) -> list[WaitingGate | WaitingQuestion]:
    """List all gates and questions of the namespace, nearest deadline first; `indexed` knows no questions."""
    if indexed and await missing_attributes(reach.client) != []:
        raise LeavingError(
            WRONG, f"--indexed: search attributes are missing; register them with {command('setup-namespace')}"
        )
    found = [one async for one in _read(reach, INDEXED if indexed else RUNNING)]
    return sorted(found, key=_deadline)


def _deadline(one: WaitingGate | WaitingQuestion) -> tuple[datetime, str, str]:
    if isinstance(one, WaitingGate):
        return one.gate.deadline, one.workflow_id, one.gate.name
    return one.question.deadline or FAR, one.workflow_id, one.question.id


async def _read(reach: Reach, query: str) -> AsyncIterator[WaitingGate | WaitingQuestion]:
    async for run in reach.client.list_workflows(query):
        try:
            shown, questions = await gates_of(run), await questions_of(run)
        except ValueError:
            continue  # a workflow of others may use the memo's name for something else
        for gate in shown.waiting:
            yield WaitingGate(run.id, run.run_id, run.workflow_type, gate, shown.turned_down)
        for question in questions:
            yield WaitingQuestion(run.id, run.run_id, run.workflow_type, question)
