"""The messages of a refund: the request and its result.

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
"""The form of an order's name; nothing else may get into a question to the database."""


class RefundRequest(RunRequest):
    """A customer's request for a refund of one order."""

    order: str = Field(pattern=ORDER_NAME)
    """Which order, as the database has it."""
    text: Part
    """What the customer writes."""
    amount_cents: int | None = Field(default=None, ge=1)
    """What is asked for, in cents; without it the agent proposes an amount."""
    limit_cents: int = Field(default=10_000, ge=0)
    """More than this, in cents, needs the people of `gate`."""
    ledger_url: str = Field(default="", max_length=2000, pattern=r"^(https?://\S+)?$")
    """The ledger to book in, as `URL/ORDER` (PUT, undone by DELETE, which `HTTP_CALL_UNDO` must declare); "" books nothing."""
    on_failure: RollbackPolicy = ROLL_BACK_ALL
    """How far to undo when the run fails; by default everything."""
    gate: GatePolicy = GatePolicy(needed=2, deadline=THREE_DAYS)
    """Who must approve amounts over the limit; by default two people, within three days (259,200 seconds)."""


class RefundOutcome(StrEnum):
    """How a request for a refund ended."""

    REFUNDED = "refunded"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    ELSEWHERE = "not a matter of refunds"
    FAILED = "failed"


class RefundResult(ChangingResult):
    """How a request ended, who approved it, and what it changed."""

    outcome: RefundOutcome
    """How it ended."""
    order: str
    """Which order, as the request named it."""
    category: str = ""
    """Where the request was routed."""
    amount_cents: int = 0
    """What was refunded or proposed, in cents, as people left it."""
    reason: Summary = ""
    """Why, in the words of the agent or of whoever edited them."""
    gate: str = ""
    """The gate that people decided at; "" where the amount needed none."""
    approved_by: tuple[str, ...] = ()
    """Names of those who approved; empty where nobody had to."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
