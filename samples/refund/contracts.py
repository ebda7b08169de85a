"""A refund: what a customer wants, who must agree, and what came of it.

Amounts are whole cents, because a fraction that JSON rounds would be another amount than the approved one.
"""

from enum import StrEnum

from pydantic import Field

from outlast.contracts import (
    ROLL_BACK_ALL,
    ChangingResult,
    GatePolicy,
    Part,
    RollbackPolicy,
    RunRequest,
    Summary,
)

THREE_DAYS = 259_200.0
ORDER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"
"""What an order is named like; nothing else may get into a question to the database."""


class RefundRequest(RunRequest):
    """A customer's request for a refund of one order.

    `amount_cents` is what is asked for, where that is known; without it the agent proposes one. More than `limit_cents` needs
    the people of `gate`, of whom `requester` is none. `ledger_url` is the address of the ledger that the refund is booked in as
    `URL/ORDER` (PUT, taken back by DELETE, which `HTTP_CALL_UNDO` must declare); without it nothing is booked. `on_failure`
    says how far to roll back.
    """

    order: str = Field(pattern=ORDER_NAME)
    text: Part
    amount_cents: int | None = Field(default=None, ge=1)
    limit_cents: int = Field(default=10_000, ge=0)
    ledger_url: str = Field(default="", max_length=2000, pattern=r"^(https?://\S+)?$")
    on_failure: RollbackPolicy = ROLL_BACK_ALL
    gate: GatePolicy = GatePolicy(needed=2, deadline=THREE_DAYS)


class RefundOutcome(StrEnum):
    """What came of a request for a refund."""

    REFUNDED = "refunded"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    ELSEWHERE = "not a matter of refunds"
    FAILED = "failed"


class RefundResult(ChangingResult):
    """What came of it: the amount as people left it, by whose yes, and every change with what became of it.

    `category` is where the request was routed, `gate` names the gate (empty: the amount needed none).
    """

    outcome: RefundOutcome
    order: str
    category: str = ""
    amount_cents: int = 0
    reason: Summary = ""
    gate: str = ""
    approved_by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
