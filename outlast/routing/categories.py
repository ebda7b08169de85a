"""The default categories of requests, and the forms that are filled in for them. Data alone.

The local model reads only the first twelve words of a description and the `words`; both are chosen by their results on
the sample requests.
"""

from typing import Any, get_args

from outlast.contracts import (
    SMALL_MODEL_HINT,
    ToolSpec,
)
from outlast.routing.requests import GENERAL, Category, Priority

NO_ROUTE = "no_route_fits"

DEFAULT_CATEGORIES = (
    Category(
        name="billing",
        agent="billing",
        description="Settle a matter of money: an invoice, a charge, a payment, a refund, a price that was charged.",
        words=("payments", "invoices", "refunds"),
        input_schema={
            "type": "object",
            "properties": {
                "matter": {"type": "string", "maxLength": 200, "description": "What about the money is to be settled."},
                "reference": {"type": "string", "maxLength": 60, "description": "Invoice or order number, if any."},
                "amount": {"type": "string", "maxLength": 40, "description": "Amount with its currency, if any."},
            },
            "required": ["matter"],
            "additionalProperties": False,
        },
    ),
    Category(
        name="technical_support",
        agent="technical-support",
        description="Fix something that does not work: an error, an outage, a device, a login, a set-up.",
        words=("errors", "crashes", "software"),
        input_schema={
            "type": "object",
            "properties": {
                "problem": {"type": "string", "maxLength": 200, "description": "What does not work."},
                "product": {"type": "string", "maxLength": 60, "description": "Product and version, if named."},
                "message": {"type": "string", "maxLength": 200, "description": "The error message, word for word."},
            },
            "required": ["problem"],
            "additionalProperties": False,
        },
    ),
    Category(
        name=GENERAL,
        agent="general-inquiry",
        description="Answer a question about the company, its products or places; take praise or a suggestion.",
        words=("events", "shopping", "visiting"),
        input_schema={
            "type": "object",
            "properties": {"question": {"type": "string", "maxLength": 200, "description": "What is asked."}},
            "required": ["question"],
            "additionalProperties": False,
        },
    ),
    Category(
        name="escalation_required",
        agent="escalation",
        description="Hand a grave complaint to a manager: a legal threat, danger, injury, a data leak, abuse, long neglect.",
        words=("abuse", "accidents", "lawsuits"),
        ticket=True,
        alone=True,
        input_schema={
            "type": "object",
            "properties": {
                "reason": {"type": "string", "maxLength": 200, "description": "Why a person must take over."}
            },
            "required": ["reason"],
            "additionalProperties": False,
        },
    ),
)
"""What requests are sorted into unless a caller brings categories of its own."""

ANY_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"matter": {"type": "string", "maxLength": 200, "description": "What is asked for."}},
    "required": ["matter"],
    "additionalProperties": False,
}
"""What is filled in for a category that has no input schema."""

NO_ROUTE_SPEC = ToolSpec(
    name=NO_ROUTE,
    description="Say that none of the other tools fits.",
    input_schema={
        "type": "object",
        "properties": {"reason": {"type": "string", "maxLength": 200, "description": "Why none of them fits."}},
        "required": ["reason"],
        "additionalProperties": False,
    },
)

PRIORITIES: tuple[Priority, ...] = get_args(Priority)

TICKET_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 120, "description": "One line that says what happened."},
        "priority": {
            "type": "string",
            "enum": list(PRIORITIES),
            "description": "How soon a person must see it.",
            SMALL_MODEL_HINT: "Label words: low=trivial, normal=ordinary, high=serious/legal, "
            "urgent=danger/injury/emergency. Cue: Overall, the matter above is",
        },
        "note": {"type": "string", "maxLength": 900, "description": "What happened, what is demanded, until when."},
    },
    "required": ["title", "priority", "note"],
    "additionalProperties": False,
}
