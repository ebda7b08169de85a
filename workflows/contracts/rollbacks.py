"""The rollback of a run that has ended: what it changed, how far to go back, and what came of it."""

from activities.contracts import Contract
from workflows.contracts.changes import ROLL_BACK_ALL, Changes, RollbackPolicy
from workflows.contracts.runs import BudgetShown, RunState, Spend
from workflows.contracts.starting import StartRequest


class RollbackRequest(StartRequest):
    """The changes of an ended run, by its workflow id (`run`), as it last told them; others' changes are left alone.

    With `again`, undos that failed before are tried once more.
    """

    run: str
    changes: Changes
    policy: RollbackPolicy = ROLL_BACK_ALL
    reason: str = "a person asked for it"
    again: bool = False


class RollbackResult(Contract):
    """What became of each change; `partial` where something could not be taken back."""

    state: RunState
    run: str
    changes: Changes = Changes()
    spend: Spend = Spend()
    budget: BudgetShown | None = None
