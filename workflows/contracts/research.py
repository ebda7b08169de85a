"""Parallel research: a topic, several sources at once, one synthesis with checked citations."""

from typing import Any

from pydantic import Field

from activities.search.contracts import Finding, SourceKind
from outlast.contracts import (
    ChangingResult,
    Content,
    Contract,
    RunRequest,
    Summary,
)


class SourcePlan(Contract):
    """One source to search, who reads what is found (no name: the source's own agent), and how many seconds both may take."""

    source: SourceKind
    agent: str = ""
    timeout: float = Field(default=60.0, gt=0, le=3600)


class ResearchRequest(RunRequest):
    """A topic to research; no sources means web, academic and news, and local documents where none of them answers.

    `min_sources` is how many must give findings; with fewer local documents are searched as well, and then the run fails.
    `deadline` is in seconds for all sources together. Where the synthesiser names what is missing, up to `more_rounds` further
    rounds search for that, each with a deadline of its own.
    """

    topic: str = Field(min_length=1, max_length=20_000)
    sources: tuple[SourcePlan, ...] = ()
    min_sources: int = Field(default=1, ge=1, le=10)
    deadline: float = Field(default=120.0, gt=0, le=86_400)
    findings_per_source: int = Field(default=8, ge=1, le=50)
    more_rounds: int = Field(default=1, ge=0, le=5)
    synthesiser: str = "synthesiser"
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""


class SourceOutcome(Contract):
    """What one source gave: the notes of its agent, or the gap and why.

    With both, its agent failed or was late, and `notes` are the findings as they were found. From `round` 2 on, `query` is what
    was searched for.
    """

    source: SourceKind
    agent: str = ""
    notes: Content | None = None
    findings: int = 0
    seconds: float = 0.0
    gap: Summary = ""
    round: int = 1
    query: Summary = ""


class ResearchResult(ChangingResult):
    """The synthesis with numbered citations; `cited` are its sources in that order, `removed` the citations to nothing."""

    answer: Content | None
    sources: tuple[SourceOutcome, ...]
    report: Content
    cited: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
