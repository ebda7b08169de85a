"""Sorting requests: without a model call, and by the tools that a model picked."""

from outlast.contracts import Content, Contract, Part, ToolCall


class LabelRequest(Contract):
    """A text to sort by a trained classifier."""

    text: Part
    """The text."""
    classifier: str
    """Key of the trained classifier in the content store."""


class Labelled(Contract):
    """The likeliest category of a text."""

    category: str
    """Name of the category; empty where the text has nothing in it that training has seen."""
    confidence: float
    """Its calibrated probability, from 0 to 1; 0 where there is no category."""
    others: tuple[tuple[str, float], ...] = ()
    """The other categories with their probabilities (0 to 1), likeliest first."""


class PicksRequest(Contract):
    """Tool calls by which a model picked routes."""

    calls: tuple[ToolCall, ...]
    """The calls, in order."""
    specs: Part
    """Specs of the tools that the model saw."""


class Pick(Contract):
    """One picked tool."""

    id: str
    """Id of the tool call, as the model gave it."""
    tool: str
    """Name of the tool."""
    filled: Content | None = None
    """What the model filled in, as JSON; None where it breaks the tool's schema."""
    wrong: tuple[str, ...] = ()
    """How that breaks the tool's schema, in words; empty: it matches."""


class Picks(Contract):
    """The routes that a model picked."""

    picks: tuple[Pick, ...] = ()
    """The picks, in the order of the calls."""
