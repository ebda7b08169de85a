"""Sorting requests: without a model call, and by the tools that a model picked."""

from outlast.contracts import Content, Contract, Part, ToolCall


class LabelRequest(Contract):
    """A text to sort, and the trained classifier (its reference in the content store)."""

    text: Part
    classifier: str


class Labelled(Contract):
    """The likeliest category with its calibrated probability (0 to 1), and those of the others, likeliest first.

    No category (and no confidence) means that the text has nothing in it that training has seen.
    """

    category: str
    confidence: float
    others: tuple[tuple[str, float], ...] = ()


class PicksRequest(Contract):
    """Tool calls by which a model picked routes, and the specs of the tools that it saw."""

    calls: tuple[ToolCall, ...]
    specs: Part


class Pick(Contract):
    """One picked tool: what the model filled in (JSON), or how that breaks the tool's schema (`wrong`, in words)."""

    id: str
    tool: str
    filled: Content | None = None
    wrong: tuple[str, ...] = ()


class Picks(Contract):
    """The picks in the order of the calls."""

    picks: tuple[Pick, ...] = ()
