"""What a run gave, with every reference followed: as data for `--json`, and ready for the pages.

The trap: a result holds references into the worker's content store. Where the starter's is another, the run is fine and
only the reading fails, so that error must not look like a failed run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from activities.content import ContentStore
from activities.contracts import Content
from activities.errors import ErrorKind
from bootstrap import Settings
from cli.leaving import WRONG, LeavingError
from cli.reaching import DOCUMENTS, PLAN, SESSION
from workflows.contracts import (
    AgentSessionResult,
    DocumentAnalysisResult,
    DocumentOutcome,
    DocumentReport,
    PlanReport,
    PlanResult,
    RunState,
    Spend,
)

Result = PlanResult | DocumentAnalysisResult | AgentSessionResult

RESULTS: dict[str, type[PlanResult] | type[DocumentAnalysisResult] | type[AgentSessionResult]] = {
    PLAN: PlanResult,
    DOCUMENTS: DocumentAnalysisResult,
    SESSION: AgentSessionResult,
}


def plain(value: Any) -> Any:
    """Turn a contract into JSON data with all its fields, also those that histories leave out as defaults."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def counted(number: int, noun: str) -> str:
    """Write how many there are of something."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


@dataclass(frozen=True)
class PlanPage:
    """A plan's result with its report and the full text of each answer, by step."""

    result: PlanResult
    report: PlanReport
    answers: dict[str, str]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed; a plan with answers is none."""
        return ""

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {
            "state": self.result.state,
            "answers": [{"step": step, "text": text} for step, text in self.answers.items()],
            **{name: getattr(self.result, name) for name in ("done", "failed", "skipped")},
            **plain(self.report),
            "spend": plain(self.result.spend),
        }


@dataclass(frozen=True)
class ReadDocument:
    """One document's outcome with its texts and what its own calls cost."""

    outcome: DocumentOutcome
    summary: str
    analysis: str
    spend: Spend


@dataclass(frozen=True)
class DocumentPage:
    """The result of a document run, texts resolved."""

    result: DocumentAnalysisResult
    documents: tuple[ReadDocument, ...]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: documents that failed."""
        failed = [document.outcome for document in self.documents if document.outcome.error]
        causes = "; ".join(f"{one.error_kind}: {_named(one)}" for one in failed)
        return f"{len(failed)} of {counted(len(self.documents), 'document')} failed: {causes}" if failed else ""

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        documents = [
            {
                **plain(document.outcome),
                "summary": document.summary,
                "analysis": document.analysis,
                "spend": plain(document.spend),
            }
            for document in self.documents
        ]
        return {"state": self.result.state, "documents": documents, "spend": plain(self.result.spend)}


def _named(outcome: DocumentOutcome) -> str:
    return outcome.error if outcome.error.startswith(outcome.name) else f"{outcome.name}: {outcome.error}"


@dataclass(frozen=True)
class SessionPage:
    """The result of an agent's session, its answer resolved."""

    result: AgentSessionResult
    answer: str

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: a limit that ended it."""
        return f"the agent stopped: {self.result.stopped}" if self.result.stopped else ""

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        progress = self.result.progress
        return {
            "state": self.result.state,
            "answer": self.answer,
            "stopped": self.result.stopped,
            "turns": progress.turns,
            "tool_calls": progress.tool_calls,
            "notes": list(progress.notes),
            "spend": plain(self.result.spend),
        }


Page = PlanPage | DocumentPage | SessionPage


class Reader:
    """Follows references into the content store of the starter."""

    def __init__(self, store: ContentStore, settings: Settings, workflow_id: str) -> None:
        self._store = store
        self._url = settings.store_url
        self._id = workflow_id

    async def page(self, result: Result) -> Page:
        """Read everything that the result refers to; raises LeavingError naming CONTENT_STORE_URL if it is not there."""
        if isinstance(result, PlanResult):
            report = PlanReport.model_validate_json(await self._text(result.report))
            answers = {answer.step: await self._text(answer.content) for answer in result.answers}
            return PlanPage(result, report, answers)
        if isinstance(result, AgentSessionResult):
            return SessionPage(result, await self._text(result.answer))
        trace = DocumentReport.model_validate_json(await self._text(result.report)).trace
        documents = []
        for outcome in result.documents:
            spend = Spend()
            for call in trace.calls:
                if call.step.startswith(f"{outcome.name} · "):
                    spend = spend.plus(call.spend)
            summary, analysis = await self._text(outcome.summary), await self._text(outcome.analysis)
            documents.append(ReadDocument(outcome, summary, analysis, spend))
        return DocumentPage(result, tuple(documents))

    async def _text(self, content: Content | None) -> str:
        if content is None:
            return ""
        try:
            return await self._store.text(content)
        except ApplicationError as error:
            if error.type != ErrorKind.CONTENT_MISSING:
                raise
            message = (
                f"the run has ended, but its texts are not in this starter's content store ({self._url}): the worker "
                f"uses another one. Set CONTENT_STORE_URL to the same URL for both, then: starter.py result {self._id}"
            )
            raise LeavingError(WRONG, message) from error


def partial(error: BaseException, workflow: str) -> Result | None:
    """Return the result that a failed run of this workflow left in its failure, if it did."""
    details = error.details if isinstance(error, ApplicationError) else ()
    try:
        return RESULTS[workflow].model_validate(details[0])
    except (ValueError, IndexError):
        return None


def dry(page: PlanPage) -> bool:
    """Whether the plan was only made and checked, not run."""
    return page.result.state is RunState.COMPLETED and not page.answers and not page.report.steps
