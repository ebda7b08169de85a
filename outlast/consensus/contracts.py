"""Free analyses of one document, as claims with evidence, and what several analysts agree on in them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

from outlast.contracts import Content, Contract, Part


class Quote(Contract):
    """A passage that an analyst quotes; `found` says that its words stand in the document, `place` where."""

    text: str
    found: bool = False
    place: str = ""


class Claim(Contract):
    """One finding of one analyst; `confidence` is from 0 to 1, or None where the analyst gave no number."""

    id: str
    analyst: str
    claim: str
    confidence: float | None = None
    evidence: tuple[Quote, ...] = ()


class Position(Contract):
    """One answer to a point: who holds it, by which claims, with which evidence."""

    position: str
    by: tuple[str, ...]
    claims: tuple[str, ...]
    evidence: tuple[Quote, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether a quoted passage is in the document."""
        return any(quote.found for quote in self.evidence)


class Point(Contract):
    """A question that the document raises, and every position that analysts take on it."""

    statement: str
    positions: tuple[Position, ...]

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
    firmness: Firmness
    agreed: tuple[Point, ...] = ()
    disputed: tuple[Point, ...] = ()
    single: tuple[Point, ...] = ()
    """Points that only one analyst saw."""
    claims: tuple[Claim, ...] = ()


class ClaimsRequest(Contract):
    """The answers of analysts by name, as their schema reads them, and the parts of the document that they read.

    Only for a local activity, whose input is not recorded.
    """

    recorded: ClassVar[bool] = False

    answers: Mapping[str, Mapping[str, Any]]
    document: tuple[Part, ...] = ()


class Claims(Contract):
    """The claims of all analysts: `listing` for a model to read, `claims` as JSON.

    `quotes_found` of `quotes` stand in the document.
    """

    listing: Content
    claims: Content
    count: int = 0
    quotes: int = 0
    quotes_found: int = 0


class GroupRequest(Contract):
    """Claims and how a consensus agent groups them (None: it failed, so that only equal words count as agreement)."""

    recorded: ClassVar[bool] = False

    claims: Part
    grouping: Mapping[str, Any] | None = None


class AgreementSummary(Contract):
    """How many points are agreed, disputed, or seen by one analyst alone; `full` is the `Agreement` in the content store.

    `grouped` is false where no consensus agent grouped the claims.
    """

    firmness: Firmness
    full: Content
    answer: Content = Content()
    agreed: int = 0
    disputed: int = 0
    single: int = 0
    quotes: int = 0
    quotes_found: int = 0
    grouped: bool = True
    notes: tuple[str, ...] = ()
