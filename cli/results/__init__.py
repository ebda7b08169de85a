"""What each workflow's result is, and the page that shows it. A new workflow gets a line in KINDS and a file beside this one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from cli.reaching import CONSENSUS, DOCUMENTS, PLAN, REFUND, REQUESTS, RESEARCH, ROLLBACK, SESSION, STAGED
from cli.results.consensus import read_consensus
from cli.results.documents import read_documents
from cli.results.plans import read_plan
from cli.results.reading import Page, Reader, without_tools
from cli.results.refunds import read_refund
from cli.results.requests import read_requests
from cli.results.research import read_research
from cli.results.rollbacks import read_rollback
from cli.results.sessions import read_session
from cli.results.staged import read_staged
from workflows.contracts import (
    AgentSessionResult,
    ConsensusResult,
    DocumentAnalysisResult,
    PlanResult,
    RefundResult,
    ResearchResult,
    RollbackResult,
    RouteResult,
    StagedResult,
)

__all__ = ["KINDS", "Kind", "Page", "Reader", "partial", "without_tools"]


@dataclass(frozen=True)
class Kind:
    """The result of one workflow: its contract, how it is read into a page, and how ids of its runs begin."""

    prefix: str
    result: type[BaseModel]
    read: Callable[[Reader, Any], Awaitable[Page]]


KINDS: Mapping[str, Kind] = {
    PLAN: Kind("plan", PlanResult, read_plan),
    DOCUMENTS: Kind("documents", DocumentAnalysisResult, read_documents),
    RESEARCH: Kind("research", ResearchResult, read_research),
    REFUND: Kind("refund", RefundResult, read_refund),
    REQUESTS: Kind("requests", RouteResult, read_requests),
    CONSENSUS: Kind("consensus", ConsensusResult, read_consensus),
    ROLLBACK: Kind("rollback", RollbackResult, read_rollback),
    SESSION: Kind("agent", AgentSessionResult, read_session),
    STAGED: Kind("staged", StagedResult, read_staged),
}


def partial(error: BaseException, workflow: str) -> BaseModel | None:
    """Return the result that a failed run of this workflow left in its failure, if it did."""
    details = error.details if isinstance(error, ApplicationError) else ()
    try:
        return KINDS[workflow].result.model_validate(details[0])
    except (ValueError, IndexError):
        return None
