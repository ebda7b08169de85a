"""The fixed document pipeline: what goes in and what comes out."""

from enum import StrEnum

from pydantic import Field

from outlast.contracts import (
    ChangingResult,
    Content,
    Contract,
    RunRequest,
    StepRow,
    Trace,
)
from outlast.documents.contracts import DocumentSource


class DocumentType(StrEnum):
    """The kinds of document that have a specialist; what fits none is general."""

    LEGAL = "legal"
    FINANCIAL = "financial"
    GENERAL = "general"


class DocumentAnalysisRequest(RunRequest):
    """Files to analyse, each on its own."""

    documents: tuple[DocumentSource, ...] = Field(min_length=1)
    """The files; at least one."""
    max_parallel: int = Field(default=4, ge=1, le=100)
    """How many files are worked on at once."""


class DocumentOutcome(Contract):
    """What became of one document."""

    name: str
    """File name."""
    type: DocumentType | None = None
    """Which specialist it went to; None where that was not found out."""
    analysis: Content | None = None
    """What the specialist wrote; None where there is none."""
    summary: Content | None = None
    """The short version; None where there is none."""
    parts: int = 0
    """In how many pieces it was worked on."""
    pages: int | None = None
    """Count of pages; None where the format has none."""
    seconds: float = 0.0
    """Time from its start to its end, in seconds."""
    error_kind: str = ""
    """Kind of the error that ended it; empty where none did."""
    error: str = ""
    """The error that ended it, in words; empty where none did."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""


class DocumentReport(Contract):
    """The step trace of a document run, kept in the content store."""

    steps: tuple[StepRow, ...] = ()
    """The steps, with their outcomes."""
    trace: Trace = Trace()
    """All calls of the run."""


class DocumentAnalysisResult(ChangingResult):
    """What became of all documents."""

    documents: tuple[DocumentOutcome, ...]
    """Outcomes in the order of the request."""
    report: Content
    """The step trace of the run, in the content store."""
