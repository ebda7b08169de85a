"""`starter.py document`: the fixed pipeline, for one document or many."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.start.begin import StartOptions, given, starts_run

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach


@starts_run(without=("result_schema",))
def document(
    files: Annotated[list[Path], typer.Argument(help="PDF, DOCX, HTML, Markdown or text files.", metavar="FILE")],
    *,
    options: StartOptions,
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

    budget = options.request_fields()
    read = read_files(files, load_settings().max_document_bytes)

    async def command(reach: "Reach") -> None:
        store = reach.store()
        sources = [DocumentSource(name=name, ref=await store.put(data), size=len(data)) for name, data in read]
        request = DocumentAnalysisRequest(documents=tuple(sources), **given(max_parallel=max_parallel), **budget)
        summary = ", ".join(name for name, _ in read)
        await options.begin(reach, DOCUMENTS, request, summary=summary)

    reaching(command)
