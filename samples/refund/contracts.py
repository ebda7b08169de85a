"""A refund: what a customer wants, who must agree, and what came of it.

Amounts are whole cents, because a fraction that JSON rounds would be another amount than the approved one.
"""

from enum import StrEnum

from pydantic import Field

from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    BudgetShown,
    Changes,
    Content,
    Contract,
    GatePolicy,
    Part,
    RollbackPolicy,
    RunState,
    Spend,
    StartRequest,
    Summary,
)

THREE_DAYS = 259_200.0
ORDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
"""What an order is named like; nothing else may get into a question to the database."""


class RefundRequest(StartRequest):
    """A customer's request for a refund of one order.

    `amount_cents` is what is asked for, where that is known; without it the agent proposes one. More than `limit_cents` needs
    the people of `gate`, of whom `requester` is none. `ledger_url` is the address of the ledger that the refund is booked in as
    `URL/ORDER` (PUT, taken back by DELETE, which `HTTP_CALL_UNDO` must declare); without it nothing is booked. `on_failure`
    says how far to roll back.
    With `stream` its calls publish what the models write, which puts those texts into its history.
    """

    order: str = Field(pattern=ORDER_NAME)
    text: Part
    amount_cents: int | None = Field(default=None, ge=1)
    limit_cents: int = Field(default=10_000, ge=0)
    ledger_url: str = Field(default="", max_length=2000, pattern=r"^(https?://\S+)?$")
    on_failure: RollbackPolicy = ROLL_BACK_ALL
    gate: GatePolicy = GatePolicy(needed=2, deadline=THREE_DAYS)
    requester: str = ""
    budget: Budget | None = None
    stream: bool = False


class RefundOutcome(StrEnum):
    """What came of a request for a refund."""

    REFUNDED = "refunded"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    ELSEWHERE = "not a matter of refunds"
    FAILED = "failed"


class RefundResult(Contract):
    """What came of it: the amount as people left it, by whose yes, and every change with what became of it.

    `category` is where the request was routed, `gate` names the gate (empty: the amount needed none).
    """

    state: RunState
    outcome: RefundOutcome
    order: str
    category: str = ""
    amount_cents: int = 0
    reason: Summary = ""
    gate: str = ""
    approved_by: tuple[str, ...] = ()
    changes: Changes = Changes()
    notes: tuple[str, ...] = ()
    report: Content | None = None
    spend: Spend = Spend()
    budget: BudgetShown | None = None
    tools_missing: tuple[str, ...] = ()
