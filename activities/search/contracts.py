"""Searching: what is looked for, what was found, and a text whose citations are checked against it."""

from enum import StrEnum

from outlast.contracts import Content, Contract, Part, Summary


class SourceKind(StrEnum):
    """Where one can look; the value labels the source in results."""

    WEB = "web"
    ACADEMIC = "academic"
    NEWS = "news"
    LOCAL = "local"


class SearchRequest(Contract):
    """A question to one source."""

    source: SourceKind
    """Where to look."""
    query: str
    """What to look for, in words."""
    limit: int = 8
    """Most findings to give."""
    first: int = 1
    """Number of the first finding's id, from 1 on."""


class Finding(Contract):
    """One thing found."""

    id: str
    """What texts cite: `W1`, `A2`, `N1`, `L3`."""
    title: Summary
    """Title of what was found, at most 200 characters."""
    url: str = ""
    """Address; for a local document its path. Empty: it has none."""
    published: str = ""
    """ISO date where the source has one; empty otherwise."""


class Findings(Contract):
    """What one source gave."""

    source: SourceKind
    """Where it was found."""
    found: tuple[Finding, ...] = ()
    """The findings, best first."""
    text: Content = Content()
    """All of it as text for a model, each piece under its id."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
    cached: bool = False
    """Whether it was read from the cache instead of asking the source."""


class FoundRequest(Contract):
    """What a model found on the web itself, to be numbered."""

    source: SourceKind
    """What the findings count as."""
    found: tuple[Part, ...]
    """JSON lists of titles, addresses, dates and texts, by reference."""
    limit: int = 8
    """Most findings to give."""
    first: int = 1
    """Number of the first finding's id, from 1 on."""


class CiteRequest(Contract):
    """A text whose citations shall be checked."""

    text: Part
    """The text, which cites `[W1]` or `[A2, N1]`."""
    findings: tuple[Finding, ...]
    """The findings that exist."""


class CitedText(Contract):
    """A text with checked citations."""

    content: Content
    """The text with citations numbered `[1]`, `[2]` in order of appearance, and the list of sources below it."""
    cited: tuple[Finding, ...] = ()
    """The findings that are cited, in that order."""
    removed: tuple[str, ...] = ()
    """Citations that led to no finding, as they were written."""
    missing: Summary = ""
    """The query that the writer wants searched; empty: nothing is missing."""
