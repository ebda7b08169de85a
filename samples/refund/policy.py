"""The rules of a refund: how much of an order can be refunded, what may be proposed and edited, and the calls that do it. Pure.

The amount of a model is only a proposal. It is checked against the order's row, and where it cannot be used, people decide on all
that can be refunded.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outlast.contracts import SUMMARY_LENGTH, Effect, ProposedAction, Risk, ToolCard
from outlast.errors import ErrorKind, non_retryable
from samples.refund.contracts import RefundRequest

QUERY, INSERT, MAIL, CALL = "query_database", "insert_row", "send_mail", "http_call"
SETTINGS = {QUERY: "DATABASE_URL", INSERT: "DATABASE_WRITE_TABLES", MAIL: "SMTP_URL", CALL: "HTTP_CALL_ALLOW"}
"""The tools of a refund, and the setting of the worker that switches each on."""
TABLE = "refunds"
NOWHERE = re.compile(r"https?://[^/?#@]*\.invalid(/|$)")
MOST_REASON = 200
OPEN = (
    "SELECT customer, email, paid_cents - "
    "(SELECT COALESCE(SUM(amount_cents), 0) FROM refunds WHERE order_id = orders.id) FROM orders"
)
"""What the database is asked; a table `orders` (id, customer, email, paid_cents) and one `refunds` must be there."""

PROPOSAL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0, "description": "How much to give back, as in 12.50."},
        "reason": {"type": "string", "maxLength": MOST_REASON, "description": "Why, in one sentence."},
    },
    "required": ["amount", "reason"],
    "additionalProperties": False,
}
PROPOSE = "Propose the refund for the request above: how much to give back of what was paid for the order, and why."


@dataclass(frozen=True)
class Order:
    """An order as the database has it; `open_cents` is what can be refunded of it."""

    id: str
    customer: str
    email: str
    open_cents: int


@dataclass(frozen=True)
class Proposal:
    """What is proposed; with a `note`, why the agent's amount was not taken, people decide whatever the amount is."""

    cents: int
    reason: str
    note: str = ""


def question(order: str) -> dict[str, Any]:
    """Return the question to the database; the order's name was checked by the contract."""
    return {"sql": f"{OPEN} WHERE id = '{order}'", "rows": 1}


def read_order(order: str, answer: str | None) -> Order:
    """Read the answer of the database; raises InputInvalid where there is no such order, or nothing is left to refund."""
    if answer is None:
        raise non_retryable(
            ErrorKind.INPUT_INVALID, "order: its row is kept by reference; set CONTENT_INLINE_BYTES to 1024 or more"
        )
    try:
        rows = json.loads(answer)["rows"]
        customer, email, cents = rows[0] if rows else ("", "", None)
    except (ValueError, KeyError, TypeError) as error:
        raise non_retryable(ErrorKind.INPUT_INVALID, f"order: the database's answer cannot be read: {error}") from error
    if not isinstance(cents, int):
        raise non_retryable(
            ErrorKind.INPUT_INVALID, f"order: there is no order {order!r}; name one that the database has"
        )
    if cents <= 0:
        raise non_retryable(
            ErrorKind.INPUT_INVALID, f"order: nothing of {order!r} is left to give back; it was refunded already"
        )
    return Order(order, " ".join(str(customer).split()), str(email).strip(), cents)


def propose(request: RefundRequest, order: Order, answer: Mapping[str, Any] | None) -> Proposal:
    """Check the agent's answer against the request and the order; raises InputInvalid for more than was paid."""
    answer = answer or {}
    reason = " ".join(str(answer.get("reason") or "").split())[:MOST_REASON] or "the customer asks for it"
    if request.amount_cents is not None:
        if request.amount_cents > order.open_cents:
            raise non_retryable(
                ErrorKind.INPUT_INVALID,
                f"amount_cents: {money(request.amount_cents)} is more than the {money(order.open_cents)} "
                f"that {order.id} leaves to give back",
            )
        return Proposal(request.amount_cents, reason)
    amount = answer.get("amount")
    usable = isinstance(amount, int | float) and not isinstance(amount, bool) and abs(amount) < 1e12
    cents = round(float(amount) * 100) if usable and amount is not None else 0
    if 1 <= cents <= order.open_cents:
        return Proposal(cents, reason)
    note = f"the agent's amount ({str(amount)[:20]}) cannot be used; all that is open is proposed, and people decide"
    return Proposal(order.open_cents, reason, note)


def row_of(order: Order, proposal: Proposal, agent: str) -> ProposedAction:
    """Return the row to insert, as the action that people decide on."""
    return ProposedAction(
        description=_description(order, proposal.cents),
        agent=agent,
        tool=INSERT,
        input={
            "table": TABLE,
            "values": {"order_id": order.id, "amount_cents": proposal.cents, "reason": proposal.reason},
        },
        effect=Effect.WRITE,
        risk=Risk.HIGH,
    )


def described(order: Order, edited: ProposedAction) -> str:
    """Describe an edited row."""
    return _description(order, int(edited.input["values"]["amount_cents"]))


def _description(order: Order, cents: int) -> str:
    who = f"{order.customer} <{order.email}>"
    return f"refund {money(cents)} of order {order.id} to {who}, and tell them by mail"[:SUMMARY_LENGTH]


def edits(order: Order) -> Callable[[ProposedAction], Sequence[str]]:
    """Make the check of edits: amount and reason may be changed, the order may not."""

    def wrong(action: ProposedAction) -> Sequence[str]:
        values = action.input.get("values")
        if dict(action.input) != {"table": TABLE, "values": values} or not isinstance(values, Mapping):
            return (f'edit: keep {{"table": "{TABLE}", "values": {{…}}}}, and change the values alone',)
        cents, reason = values.get("amount_cents"), values.get("reason")
        found = []
        if sorted(values) != ["amount_cents", "order_id", "reason"] or values["order_id"] != order.id:
            found.append(f"values: give order_id (it stays {order.id}), amount_cents and reason")
        if not isinstance(cents, int) or isinstance(cents, bool) or not 1 <= cents <= order.open_cents:
            found.append(f"values.amount_cents: a whole number from 1 to {order.open_cents}")
        if not isinstance(reason, str) or len(reason) > MOST_REASON:
            found.append(f"values.reason: a text of at most {MOST_REASON} characters")
        return found

    return wrong


def mail_of(order: Order, cents: int) -> dict[str, Any]:
    """Return the mail to the customer; it follows from the approved row alone, without a word of a model."""
    text = f"Dear {order.customer},\n\nwe refund {money(cents)} of your order {order.id}.\n"
    return {"to": [order.email], "subject": f"Your refund for order {order.id}", "text": text}


def booking_of(url: str, order: Order, cents: int) -> dict[str, Any]:
    """Return the call that books a refund in the ledger."""
    address = booked_at(url, order.id)
    body = {"order": order.id, "amount_cents": cents}
    return {"method": "PUT", "url": address, "body": body}


def booked_at(url: str, order: str) -> str:
    """Return the address of an order's booking."""
    return f"{url.rstrip('/')}/{order}"


def unbookable(card: ToolCard, url: str, order: str) -> str:
    """Return what to set where a booking could not be undone, because the operator declared no way; else "".

    A ledger below `.invalid` (RFC 2606) leads nowhere: it is there to show a rollback.
    """
    booking = {"method": "PUT", "url": booked_at(url, order)}
    if card.of_call(booking).effect is Effect.WRITE or NOWHERE.match(url):
        return ""
    template = booked_at(url, "{order}")
    return f"HTTP_CALL_UNDO declares no way to undo a booking: add 'PUT {template} => DELETE {template}'"


def money(cents: int) -> str:
    """Write an amount as people read it."""
    return f"{cents // 100}.{cents % 100:02}"
