"""The document pipeline's paths: real files, real extraction, a scripted model."""

import re
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.contracts import RunState, StepState
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.llm.base import ModelCall
from tests.workflow.conftest import Runner
from workflows.contracts.documents import DocumentAnalysisRequest, DocumentAnalysisResult, DocumentReport, DocumentType
from workflows.document_analysis import DocumentAnalysisWorkflow

RUN = DocumentAnalysisWorkflow.run
LEASE = "# Lease\n\nThe tenant shall pay rent to the landlord on the first day of each month.\n"


async def source(runner: Runner, name: str, data: str | bytes) -> DocumentSource:
    raw = data.encode() if isinstance(data, str) else data
    return DocumentSource(name=name, ref=await runner.store.put(raw), size=len(raw))


def scripted(kind: str = "legal") -> Any:
    def answer(call: ModelCall) -> str:
        if call.output_schema:
            return f'{{"type": "{kind}"}}'
        if call.system.startswith("You write summaries"):
            return "short: " + call.messages[0][1].split("\n")[1]
        agent = re.match(r"You are an? (\w+)", call.system)
        return f"{agent.group(1) if agent else '?'} analysis"

    return answer


async def analyse(runner: Runner, script: Any, *documents: DocumentSource) -> tuple[DocumentAnalysisResult, Any]:
    return await runner.run(script, RUN, DocumentAnalysisRequest(documents=documents))


@pytest.mark.parametrize(
    ("kind", "specialist"), [("legal", "legal"), ("financial", "financial"), ("general", "careful")]
)
async def test_each_type_goes_to_its_specialist(runner: Runner, kind: str, specialist: str) -> None:
    result, llm = await analyse(runner, scripted(kind), await source(runner, "lease.md", LEASE))
    outcome = result.documents[0]
    assert outcome.type == kind
    assert await runner.text(outcome.analysis) == f"{specialist} analysis"
    assert await runner.text(outcome.summary) == f"short: {specialist} analysis"
    assert outcome.parts == 1
    assert len(llm.calls) == result.spend.calls == 3


@pytest.mark.parametrize("said", ['{"type": "recipe"}', "I think it is legal", '{"kind": "legal"}'])
async def test_an_unknown_type_is_general_and_the_result_says_so(runner: Runner, said: str) -> None:
    def answer(call: ModelCall) -> str:
        return said if call.output_schema else "read"

    result, llm = await analyse(runner, answer, await source(runner, "lease.md", LEASE))
    assert result.documents[0].type is DocumentType.GENERAL
    assert "not a known type" in result.documents[0].notes[0]
    assert len(llm.calls) == 3


async def test_many_run_in_parallel_and_a_bad_file_fails_alone(runner: Runner) -> None:
    good = [await source(runner, f"{n}.md", LEASE + str(n)) for n in range(3)]
    bad = await source(runner, "photo.png", b"\x89PNG\r\n\x1a\n" + bytes(500))
    result, _ = await analyse(runner, scripted(), good[0], bad, *good[1:])
    assert result.state is RunState.PARTIAL
    assert [outcome.name for outcome in result.documents] == ["0.md", "photo.png", "1.md", "2.md"]
    failed = result.documents[1]
    assert failed.error_kind == ErrorKind.DOCUMENT_UNSUPPORTED
    assert "photo.png" in failed.error
    report = DocumentReport.model_validate_json(await runner.text(result.report))
    states = {row.step: row.state for row in report.steps}
    assert states["photo.png · extract"] is StepState.FAILED
    assert states["photo.png · summarise"] is StepState.SKIPPED
    assert states["2.md · summarise"] is StepState.DONE
    assert len(report.trace.calls) == 9


async def test_a_single_bad_file_fails_the_run_with_its_kind(runner: Runner) -> None:
    with pytest.raises(WorkflowFailureError) as failure:
        await analyse(runner, scripted(), await source(runner, "empty.txt", "   \n"))
    assert kind_of(failure.value.cause) is ErrorKind.DOCUMENT_EMPTY


async def test_a_document_that_is_not_in_the_store_names_the_setting(runner: Runner) -> None:
    lost = DocumentSource(name="lost.md", ref="A" * 43, size=10)
    with pytest.raises(WorkflowFailureError) as failure:
        await analyse(runner, scripted(), lost)
    assert kind_of(failure.value.cause) is ErrorKind.CONTENT_MISSING
    assert "CONTENT_STORE_URL" in text_of(failure.value.cause)


async def test_a_long_document_is_worked_on_in_parts_and_combined(runner: Runner) -> None:
    paragraphs = [f"Clause {n}. " + "The tenant shall keep the premises in good repair. " * 8 for n in range(60)]
    long = await source(runner, "long.md", "\n\n".join(paragraphs))
    seen: list[str] = []

    def answer(call: ModelCall) -> str:
        if call.output_schema:
            return '{"type": "legal"}'
        text = call.messages[0][1]
        seen.append(text)
        if call.system.startswith("You write summaries"):
            return "summary"
        return "combined" if "Combine" in text else f"analysis of {re.findall(r'part . of .', text)[0]}"

    result, _ = await analyse(runner, answer, long)
    parts = result.documents[0].parts
    assert parts >= 3
    assert await runner.text(result.documents[0].analysis) == "combined"
    clauses = {int(n) for text in seen if "Analyse part" in text for n in re.findall(r"Clause (\d+)\.", text)}
    assert clauses == set(range(60))
    combining = [text for text in seen if "Combine" in text]
    assert len(combining) == 1
    assert all(f"analysis of part {n} of {parts}" in combining[0] for n in range(1, parts + 1))


async def test_files_of_the_same_name_are_told_apart(runner: Runner) -> None:
    twins = [await source(runner, "a.md", LEASE), await source(runner, "a.md", LEASE + "again")]
    result, _ = await analyse(runner, scripted(), *twins)
    assert [outcome.name for outcome in result.documents] == ["a.md", "a.md (2)"]


async def test_a_specialist_that_fails_is_replaced_by_its_fallback(runner: Runner) -> None:
    def answer(call: ModelCall) -> str:
        if call.output_schema:
            return '{"type": "legal"}'
        if call.system.startswith("You are a legal"):
            raise non_retryable(ErrorKind.MODEL_NOT_FOUND, "no such model")
        return "read by another"

    result, _ = await analyse(runner, answer, await source(runner, "lease.md", LEASE))
    assert result.state is RunState.COMPLETED
    assert "general-analyst was asked" in result.documents[0].notes[0]
