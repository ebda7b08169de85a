"""What a run may spend, and how a run with a budget shows how much of it is left.

The trap: a limit in USD says nothing of a model without a price, so tokens and calls can be limited as well.
"""

from pydantic import Field

from activities.contracts import Contract
from workflows.contracts.gates import GatePolicy

BUDGET_GATE = GatePolicy(edit_needs_another_approver=False)
"""Whoever raises a budget by another amount than proposed may be the one who approves it."""


class Budget(Contract):
    """Limits of one run, each one hard: USD, tokens of all tiers together, and model calls; None means no limit.

    From the share `soft` of a limit on, the run warns, and takes a cheaper model where an agent names one. `gate` says who
    may raise the budget once it is used up, and how long they are waited for.
    """

    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokens: int | None = Field(default=None, ge=1)
    calls: int | None = Field(default=None, ge=1)
    soft: float = Field(default=0.8, gt=0, le=1)
    gate: GatePolicy = BUDGET_GATE

    @property
    def limited(self) -> bool:
        """Whether it limits anything."""
        return self.usd is not None or self.tokens is not None or self.calls is not None
