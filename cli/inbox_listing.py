"""The gates that wait for people, read from the server alone: of one run, or of all runs in the namespace.

The trap: the index knows only gates that opened once all search attributes were registered, and would hide the others. So every
running run is read, unless the caller asks for what is `indexed`, in namespaces that are too large for that.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio.client import WorkflowExecution

from bootstrap import missing_attributes
from cli.leaving import WRONG, LeavingError
from cli.reaching import Reach
from workflows.contracts import GATES_MEMO, GatesShown, GateView

RUNNING = "ExecutionStatus = 'Running'"
INDEXED = f"{RUNNING} AND PendingGate IS NOT NULL"


@dataclass(frozen=True)
class WaitingGate:
    """A gate that waits, and the run that it belongs to; `turned_down` are that run's newest messages that changed nothing."""

    workflow_id: str
    run_id: str
    workflow_type: str
    gate: GateView
    turned_down: tuple[str, ...] = ()


async def gates_of(run: WorkflowExecution) -> GatesShown:
    """Read what waits at a run's gates; nothing where the run has never opened one."""
    shown: GatesShown = await run.memo_value(GATES_MEMO, GatesShown(), type_hint=GatesShown)
    return shown


async def waiting_gates(reach: Reach, *, indexed: bool = False) -> list[WaitingGate]:
    """List all waiting gates of the namespace, nearest deadline first; it is a moment behind the runs."""
    if indexed and await missing_attributes(reach.client) != []:
        raise LeavingError(
            WRONG, "--indexed: search attributes are missing; register them with python starter.py setup-namespace"
        )
    found = [gate async for gate in _read(reach, INDEXED if indexed else RUNNING)]
    return sorted(found, key=lambda one: (one.gate.deadline, one.workflow_id, one.gate.name))


async def _read(reach: Reach, query: str) -> AsyncIterator[WaitingGate]:
    async for run in reach.client.list_workflows(query):
        try:
            shown = await gates_of(run)
        except ValueError:
            continue  # a workflow of others may use the memo's name for something else
        for gate in shown.waiting:
            yield WaitingGate(run.id, run.run_id, run.workflow_type, gate, shown.turned_down)
