"""Free analyses of one document, as claims with evidence, and what several analysts agree on in them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from outlast.contracts import Content, Contract, Part


class Quote(Contract):
    """A passage that an analyst quotes."""

    text: str
    """The passage, as the analyst quotes it."""
    found: bool = False
    """Whether its words stand in the document."""
    place: str = ""
    """Where in the document they stand; empty where they do not."""


class Claim(Contract):
    """One finding of one analyst."""

    id: str
    """Names the claim in a grouping."""
    analyst: str
    """Name of the analyst who makes it."""
    claim: str
    """The finding, in words."""
    confidence: float | None = None
    """How sure the analyst is, from 0 to 1; None where they gave no number."""
    evidence: tuple[Quote, ...] = ()
    """Passages that support it."""


class Position(Contract):
    """One answer to a point."""

    position: str
    """The answer, in words."""
    by: tuple[str, ...]
    """Names of the analysts who hold it."""
    claims: tuple[str, ...]
    """Ids of the claims that state it."""
    evidence: tuple[Quote, ...] = ()
    """Passages that support it."""

    @property
    def supported(self) -> bool:
        """Whether a quoted passage is in the document."""
        return any(quote.found for quote in self.evidence)


class Point(Contract):
    """A question that the document raises."""

    statement: str
    """The question, in words."""
    positions: tuple[Position, ...]
    """Every position that analysts take on it."""

    @property
    def by(self) -> tuple[str, ...]:
        """The analysts who say something on this point."""
        return tuple(dict.fromkeys(name for position in self.positions for name in position.by))


class Firmness(StrEnum):
    """How far an overall answer can be relied on; computed from the points, never taken from a model."""

    FIRM = "firm"
    """At least half of all points are agreed, none is disputed, and a passage of the document supports each agreed one."""
    MIXED = "mixed"
    DIVIDED = "divided"
    """More points are disputed than agreed."""
    UNSUPPORTED = "unsupported"
    """Nothing is agreed or disputed: no two analysts made a claim about the same point."""


class Agreement(Contract):
    """What free analyses come to, whole; kept in the content store as JSON."""

    recorded: ClassVar[bool] = False

    answer: str
    """The overall answer, in words."""
    firmness: Firmness
    """How far it can be relied on."""
    agreed: tuple[Point, ...] = ()
    """Points that several analysts answer alike."""
    disputed: tuple[Point, ...] = ()
    """Points that analysts answer differently."""
    single: tuple[Point, ...] = ()
    """Points that only one analyst saw."""
    claims: tuple[Claim, ...] = ()
    """All claims of all analysts."""


class ClaimsRequest(Contract):
    """What analysts answered, to be read as claims.

    Only for a local activity, whose input is not recorded.
    """

    recorded: ClassVar[bool] = False

    answers: Mapping[str, Mapping[str, Any]]
    """The answer of each analyst by name, as their schema reads it."""
    document: tuple[Part, ...] = ()
    """The parts of the document that they read; quotes are looked up in them."""


class Claims(Contract):
    """The claims of all analysts."""

    listing: Content
    """The claims as text for a model to read."""
    claims: Content
    """The claims as a JSON list in the content store."""
    count: int = 0
    """Count of the claims."""
    quotes: int = 0
    """Count of the quoted passages."""
    quotes_found: int = 0
    """Count of those that stand in the document."""


class GroupRequest(Contract):
    """Claims, and how a consensus agent groups them."""

    recorded: ClassVar[bool] = False

    claims: Part
    """The claims, as JSON."""
    grouping: Mapping[str, Any] | None = None
    """The agent's grouping; None: it failed, so that only equal words count as agreement."""


class AgreementSummary(Contract):
    """How far free analyses agree."""

    firmness: Firmness
    """How far the overall answer can be relied on."""
    full: Content
    """The whole `Agreement`, in the content store."""
    answer: Content = Content()
    """The overall answer."""
    agreed: int = 0
    """Count of points that several analysts answer alike."""
    disputed: int = 0
    """Count of points that analysts answer differently."""
    single: int = 0
    """Count of points that only one analyst saw."""
    quotes: int = 0
    """Count of the quoted passages."""
    quotes_found: int = 0
    """Count of those that stand in the document."""
    grouped: bool = True
    """Whether a consensus agent grouped the claims."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
