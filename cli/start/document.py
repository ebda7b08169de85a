"""`starter.py document`: the fixed pipeline, for one document or many."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import (
    BudgetCalls,
    BudgetTokens,
    BudgetUsd,
    Detach,
    Id,
    Json,
    LeaveBehind,
    Requester,
    Stream,
    TakeBack,
    begin,
    budgeted,
    given,
    undone,
)

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


def document(
    files: Annotated[list[Path], typer.Argument(help="PDF, DOCX, HTML, Markdown or text files.", metavar="FILE")],
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    budget_calls: BudgetCalls = None,
    on_failure: TakeBack = None,
    requester: Requester = None,
    on_fallback: LeaveBehind = None,
    run_id: Id = None,
    detach: Detach = False,
    stream: Stream = False,
    as_json: Json = False,
    max_parallel: Annotated[int | None, typer.Option(help="Documents at the same time.", min=1, max=100)] = None,
) -> None:
    """Analyse documents: type, specialist's analysis, summary.

    Each document fails alone. Exit code 1 if any of them failed.
    """
    from outlast.cli.inputs import read_files
    from outlast.cli.kinds import DOCUMENTS
    from outlast.cli.reaching import reaching
    from outlast.client import load_settings
    from outlast.documents.contracts import DocumentSource
    from workflows.contracts.documents import DocumentAnalysisRequest

    budget = budgeted(budget_usd, budget_tokens, budget_calls) | undone(on_failure, on_fallback)
    read = read_files(files, load_settings().max_document_bytes)

    async def command(reach: "Reach") -> None:
        store = reach.store()
        sources = [DocumentSource(name=name, ref=await store.put(data), size=len(data)) for name, data in read]
        request = DocumentAnalysisRequest(documents=tuple(sources), **given(max_parallel=max_parallel), **budget)
        summary = ", ".join(name for name, _ in read)
        await begin(
            reach,
            DOCUMENTS,
            request,
            requester=requester,
            run_id=run_id,
            summary=summary,
            detach=detach,
            as_json=as_json,
            stream=stream,
        )

    reaching(command)
