"""Parallel research: a topic, several sources at once, one synthesis with checked citations."""

from pydantic import Field

from activities.search.contracts import Finding, SourceKind
from outlast.contracts import (
    KEEP,
    Budget,
    BudgetShown,
    Changes,
    Content,
    Contract,
    OnFallback,
    RollbackPolicy,
    RunState,
    Spend,
    StartRequest,
    Summary,
)


class SourcePlan(Contract):
    """One source to search, who reads what is found (no name: the source's own agent), and how many seconds both may take."""

    source: SourceKind
    agent: str = ""
    timeout: float = Field(default=60.0, gt=0, le=3600)


class ResearchRequest(StartRequest):
    """A topic to research; no sources means web, academic and news, and local documents where none of them answers.

    `min_sources` is how many must give findings; with fewer local documents are searched as well, and then the run fails.
    `deadline` is in seconds for all sources together. Where the synthesiser names what is missing, up to `more_rounds` further
    rounds search for that, each with a deadline of its own. `on_failure` says how
    far to roll back what tools changed when the run fails.
    `on_fallback` says what an agent that failed leaves to its fallback.
    With `stream` its calls publish what the models write, which puts those texts into its history.
    """

    topic: str = Field(min_length=1, max_length=20_000)
    sources: tuple[SourcePlan, ...] = ()
    min_sources: int = Field(default=1, ge=1, le=10)
    deadline: float = Field(default=120.0, gt=0, le=86_400)
    findings_per_source: int = Field(default=8, ge=1, le=50)
    more_rounds: int = Field(default=1, ge=0, le=5)
    synthesiser: str = "synthesiser"
    budget: Budget | None = None
    stream: bool = False
    on_failure: RollbackPolicy = KEEP
    requester: str = ""
    """Who asked for the run: by default they may not approve what it proposes."""
    on_fallback: OnFallback = OnFallback.TELL


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


class ResearchResult(Contract):
    """The synthesis with numbered citations; `cited` are its sources in that order, `removed` the citations to nothing."""

    state: RunState
    answer: Content | None
    sources: tuple[SourceOutcome, ...]
    report: Content
    cited: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    spend: Spend = Spend()
    notes: tuple[str, ...] = ()
    budget: BudgetShown | None = None
    tools_missing: tuple[str, ...] = ()
    changes: Changes = Changes()
