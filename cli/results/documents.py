"""What became of each document of a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, safe, seconds
from outlast.cli.result_texts import Reader, cut
from outlast.contracts import Spend
from workflows.contracts.documents import DocumentAnalysisResult, DocumentOutcome, DocumentReport


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

    @property
    def headline(self) -> str:
        """What kind each document is."""
        return ", ".join(f"{one.outcome.name}: {one.outcome.type or one.outcome.error_kind}" for one in self.documents)

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [
            (f"{one.outcome.name} · {one.outcome.type or 'failed'}{cut(one.outcome.notes)}", one.summary)
            for one in self.documents
        ]

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

    def lines(self) -> list[RenderableType]:
        """Show what became of each document."""
        parts: list[RenderableType] = []
        for document in self.documents:
            parts += [*_document(document), Text()]
        state = self.result.state
        parts.append(
            Text.assemble(
                (state, STYLES[state]), f" · {counted(len(self.documents), 'document')} · {money(self.result.spend)}"
            )
        )
        return parts


async def read_documents(reader: Reader, result: DocumentAnalysisResult) -> DocumentPage:
    """Read the texts of every document and what its calls cost."""
    trace = DocumentReport.model_validate_json(await reader.text(result.report)).trace
    documents = []
    for outcome in result.documents:
        spend = Spend()
        for call in trace.calls:
            if call.step.startswith(f"{outcome.name} · "):
                spend = spend.plus(call.spend)
        summary, analysis = await reader.text(outcome.summary), await reader.text(outcome.analysis)
        documents.append(ReadDocument(outcome, summary, analysis, spend))
    return DocumentPage(result, tuple(documents))


def _document(document: ReadDocument) -> Iterable[RenderableType]:
    outcome = document.outcome
    pages = f" · {counted(outcome.pages, 'page')}" if outcome.pages else ""
    parts = f" · {counted(outcome.parts, 'part')}" if outcome.parts else ""
    kind = outcome.type or "failed"
    yield Rule(Text(safe(f"{outcome.name} · {kind}{pages}{parts}")), align="left")
    if outcome.error:
        yield Text(safe(f"{outcome.error_kind}: {outcome.error}"), style="red")
    if document.summary:
        yield Text.assemble(("summary: ", "bold"), safe(document.summary))
    if document.analysis:
        yield Text.assemble(("analysis: ", "bold"), safe(document.analysis))
    yield from (Text(safe(f"note: {note}"), style="yellow") for note in outcome.notes)
    yield Text(f"{seconds(outcome.seconds)} · {money(document.spend)}", style="dim")


def _named(outcome: DocumentOutcome) -> str:
    return outcome.error if outcome.error.startswith(outcome.name) else f"{outcome.name}: {outcome.error}"


PAGE = ResultPage(DocumentAnalysisResult, read_documents)
