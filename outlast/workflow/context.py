"""What agents, tools and patterns need of the run that they work in."""

from typing import Protocol

from outlast.approvals.gates import Gates
from outlast.approvals.people import People
from outlast.budget.lending import Lending
from outlast.tracing.trace import RunTrace
from outlast.undo.rollback import Rollback
from outlast.workflow.state import ExecutionState


class RunContext(Protocol):
    """One run, as its parts see it: every `AgentWorkflow` is one."""

    @property
    def state(self) -> ExecutionState:
        """What steers the run."""

    @property
    def trace(self) -> RunTrace:
        """What the run reports of itself."""

    @property
    def gates(self) -> Gates:
        """The gates at which it waits for people."""

    @property
    def people(self) -> People:
        """The people whom it may ask."""

    @property
    def budget(self) -> Lending:
        """What it may spend."""

    @property
    def undo(self) -> Rollback:
        """What its tools have changed, and how to undo it."""
