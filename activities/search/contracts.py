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
    """A question to one source; `limit` bounds the findings, whose ids are numbered from `first` on."""

    source: SourceKind
    query: str
    limit: int = 8
    first: int = 1


class Finding(Contract):
    """One thing found; `id` is what texts cite (`W1`, `A2`, `N1`, `L3`), `published` an ISO date where the source says."""

    id: str
    title: Summary
    url: str = ""
    published: str = ""


class Findings(Contract):
    """What one source gave, best first; `text` holds all of it for a model, each piece under its id."""

    source: SourceKind
    found: tuple[Finding, ...] = ()
    text: Content = Content()
    notes: tuple[str, ...] = ()
    cached: bool = False


class FoundRequest(Contract):
    """What a model found by itself (references to JSON lists of titles, addresses, dates and texts), to be numbered."""

    source: SourceKind
    found: tuple[Part, ...]
    limit: int = 8
    first: int = 1


class CiteRequest(Contract):
    """A text that cites `[W1]` or `[A2, N1]`, and the findings that exist."""

    text: Part
    findings: tuple[Finding, ...]


class CitedText(Contract):
    """The text with citations numbered `[1]`, `[2]` in order of appearance, and the list of sources below it.

    `cited` holds the findings in that order; `removed` the citations that led to no finding, as they were written. `missing` is
    the query that the writer wants searched, or "".
    """

    content: Content
    cited: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    missing: Summary = ""
