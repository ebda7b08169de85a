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
    """One source to search, and who reads what is found."""

    source: SourceKind
    """Where to look."""
    agent: str = ""
    """Name of the agent that reads; empty: the source's own."""
    timeout: float = Field(default=60.0, gt=0, le=3600)
    """How long searching and reading may take together, in seconds, at most an hour."""


class ResearchRequest(RunRequest):
    """A topic to research."""

    topic: str = Field(min_length=1, max_length=20_000)
    """What to find out, in words."""
    sources: tuple[SourcePlan, ...] = ()
    """Where to look; empty: web, academic and news, and local documents where none of them answers."""
    min_sources: int = Field(default=1, ge=1, le=10)
    """How many must give findings: with fewer local documents are searched as well, and then the run fails."""
    deadline: float = Field(default=120.0, gt=0, le=86_400)
    """How long all sources together may take, in seconds; it holds for each round."""
    findings_per_source: int = Field(default=8, ge=1, le=50)
    """Most findings that each source gives."""
    more_rounds: int = Field(default=1, ge=0, le=5)
    """How many further rounds search for what the synthesiser says is missing, from 0 to 5."""
    synthesiser: str = "synthesiser"
    """Name of the agent that writes the synthesis."""
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""


class SourceOutcome(Contract):
    """What one source gave: the notes of its agent, or the gap and why."""

    source: SourceKind
    """Where was searched."""
    agent: str = ""
    """Name of the agent that read what was found."""
    notes: Content | None = None
    """Its notes; the findings as they were found where it failed or was late. None: nothing was found."""
    findings: int = 0
    """Count of the findings."""
    seconds: float = 0.0
    """Time for searching and reading, in seconds."""
    gap: Summary = ""
    """What is missing and why, at most 200 characters; empty: nothing is."""
    round: int = 1
    """In which round, from 1 on."""
    query: Summary = ""
    """What was searched for, from the second round on; empty: the topic."""


class ResearchResult(ChangingResult):
    """The synthesis with numbered citations."""

    answer: Content | None
    """The synthesis; None where there is none."""
    sources: tuple[SourceOutcome, ...]
    """What each source gave, in the order of the search."""
    report: Content
    """The step trace of the run, in the content store."""
    cited: tuple[Finding, ...] = ()
    """Its sources, in the order of their numbers."""
    removed: tuple[str, ...] = ()
    """Citations that led to no finding, as they were written."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""
