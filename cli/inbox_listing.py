"""The gates that wait for people, read from the server alone: of one run, or of all runs in the namespace.

The trap: the index knows only runs whose worker found all search attributes registered. So where one is missing every running run
is read, and `everything` does so anyway, for gates that opened before they were registered.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio.client import WorkflowExecution

from bootstrap import missing_attributes
from cli.reaching import Reach
from workflows.contracts import GatesShown, GateView

MEMO = "gates"
"""The memo field that holds `GatesShown`."""
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
    shown: GatesShown = await run.memo_value(MEMO, GatesShown(), type_hint=GatesShown)
    return shown


async def waiting_gates(reach: Reach, *, everything: bool = False) -> list[WaitingGate]:
    """List all waiting gates of the namespace, nearest deadline first; it is a moment behind the runs."""
    indexed = not everything and await missing_attributes(reach.client) == []
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
