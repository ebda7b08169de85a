"""Sorting requests without a model call."""

from activities.contracts.base import Contract, Part


class LabelRequest(Contract):
    """A text to sort, and the trained classifier (its reference in the content store)."""

    text: Part
    classifier: str


class Labelled(Contract):
    """The likeliest category with its calibrated probability (0 to 1), and those of the others, likeliest first."""

    category: str
    confidence: float
    others: tuple[tuple[str, float], ...] = ()
