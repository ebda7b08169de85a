"""What the tests of gates are made of: times, an action, a book with a gate, and decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

from outlast.approvals.book import GateBook
from outlast.contracts import Decision, GatePolicy, ProposedAction, Risk, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def action(amount: Any = 5, risk: Risk = Risk.MEDIUM) -> ProposedAction:
    return ProposedAction(
        description="Pay", agent="clerk", tool="pay", input={"amount": amount}, risk=risk, target="acme"
    )


def yes(by: str = "", **fields: Any) -> Decision:
    return Decision(verdict=Verdict.APPROVE, by=by, **fields)


def no(by: str = "", **fields: Any) -> Decision:
    return Decision(verdict=Verdict.DENY, by=by, **fields)


def book(requester: str = "", risk: Risk = Risk.MEDIUM, **policy: Any) -> GateBook:
    """A book with one open gate."""
    made = GateBook()
    made.open(action(risk=risk), GatePolicy(**policy), START, requester=requester)
    return made
