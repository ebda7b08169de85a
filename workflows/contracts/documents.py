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
    max_parallel: int = Field(default=4, ge=1, le=100)


class DocumentOutcome(Contract):
    """What became of one document: its type, analysis and summary, or the error that ended it.

    `parts` is in how many pieces it was worked on, `seconds` from its start to its end.
    """

    name: str
    type: DocumentType | None = None
    analysis: Content | None = None
    summary: Content | None = None
    parts: int = 0
    pages: int | None = None
    seconds: float = 0.0
    error_kind: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()


class DocumentReport(Contract):
    """The step trace of a document run, kept in the content store."""

    steps: tuple[StepRow, ...] = ()
    trace: Trace = Trace()


class DocumentAnalysisResult(ChangingResult):
    """Outcomes in the order of the request, what they cost, and the reference of the step trace."""

    documents: tuple[DocumentOutcome, ...]
    report: Content
