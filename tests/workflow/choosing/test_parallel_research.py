"""Parallel research: dead, slow and empty sources, deadlines, citations to nothing, and local documents at the end."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from activities.search.contracts import SourceKind
from activities.search.sources.arxiv import ArxivSource
from activities.search.sources.base import Source
from activities.search.sources.fetching import Fetcher
from activities.search.sources.local import LocalSource
from activities.search.sources.news import NewsSource
from activities.search.sources.web import SearxngSource
from outlast.contracts import RunReport, RunState, RunStatus, StepState
from outlast.errors import ErrorKind, kind_of, non_retryable, retryable, text_of
from outlast.llm.base import ModelCall
from tests.processes import PROJECT, free_port
from tests.workflow.choosing.researching import Given, citing, hit, is_synthesis, said
from tests.workflow.conftest import Runner
from workflows.contracts.research import ResearchRequest, ResearchResult, SourcePlan
from workflows.parallel_research import ParallelResearchWorkflow

RUN = ParallelResearchWorkflow.run
WEB, ACADEMIC, NEWS, LOCAL = SourceKind.WEB, SourceKind.ACADEMIC, SourceKind.NEWS, SourceKind.LOCAL
TOPIC = "How efficient are heat pumps?"
FEEDS = PROJECT / "samples" / "feeds"


@asynccontextmanager
async def never_answering() -> AsyncIterator[str]:
    """A server that takes requests and answers none; its connections end when its clients leave."""
    open_ones: set[asyncio.Task[None]] = set()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        while await reader.read(1024):
            pass
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.timeout(10):
            await asyncio.gather(*open_ones)


def dead() -> Given:
    return Given(error=lambda: non_retryable(ErrorKind.SOURCE_UNAVAILABLE, "it answered 404"))


def all_three(**changes: Given) -> dict[SourceKind, Source]:
    given = {"web": Given((hit("Web page"),)), "academic": Given((hit("Paper"),)), "news": Given((hit("News item"),))}
    return {SourceKind(name): source for name, source in (given | changes).items()}


def plans(*kinds: SourceKind, **seconds: float) -> tuple[SourcePlan, ...]:
    return tuple(SourcePlan(source=kind, timeout=seconds.get(kind.value, 30.0)) for kind in kinds)


async def research(
    runner: Runner, given: Mapping[SourceKind, Source], script: Any = citing, **fields: Any
) -> tuple[ResearchResult, list[ModelCall]]:
    async with runner.worker(script, given) as llm:
        handle = await runner.start(RUN, ResearchRequest(**{"topic": TOPIC, **fields}))
        result = await handle.result()
    assert isinstance(result, ResearchResult)
    return result, llm.calls


async def failure(runner: Runner, given: Mapping[SourceKind, Source], **fields: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await research(runner, given, **fields)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def steps_done(handle: WorkflowHandle[Any, Any]) -> list[str]:
    status: RunStatus = await handle.query(ParallelResearchWorkflow.status)
    return [row.step for row in status.steps if row.state is StepState.DONE]


def gaps(result: ResearchResult) -> dict[str, str]:
    return {outcome.source.value: outcome.gap for outcome in result.sources if outcome.gap}


async def test_three_sources_are_read_by_their_agents_and_joined_with_numbered_citations(runner: Runner) -> None:
    result, calls = await research(runner, all_three())
    assert result.state is RunState.COMPLETED
    assert [(outcome.source, outcome.agent, outcome.findings) for outcome in result.sources] == [
        (WEB, "web-researcher", 1),
        (ACADEMIC, "academic-researcher", 1),
        (NEWS, "news-researcher", 1),
    ]
    answer = await runner.text(result.answer)
    assert answer.startswith("Answer: W1 matters [1], A1 matters [2], N1 matters [3].")
    assert "- [2] Paper (2026-03-01) https://paper.example/" in answer
    assert [finding.id for finding in result.cited] == ["W1", "A1", "N1"]
    assert result.removed == result.notes == ()
    assert result.spend.calls == len(calls) == 4
    report = RunReport.model_validate_json(await runner.text(result.report))
    assert {row.state for row in report.steps} == {StepState.DONE}
    assert [row.step for row in report.steps][-1] == "synthesise"


async def test_sources_of_two_seconds_each_overlap(runner: Runner) -> None:
    slow = {kind: Given((hit(f"From {kind}"),), seconds=2.0) for kind in (WEB, ACADEMIC, NEWS)}
    result, _ = await research(runner, slow)
    report = RunReport.model_validate_json(await runner.text(result.report))
    rows = {row.step: row for row in report.steps}
    begun = min(row.started for row in report.steps if row.started)
    synthesis = rows["synthesise"].started
    assert synthesis is not None
    # In workflow time: with one source after the other it would be six seconds.
    assert 2.0 <= (synthesis - begun).total_seconds() < 4.0
    assert all(outcome.seconds >= 2.0 for outcome in result.sources)


async def test_one_dead_and_one_slow_source_still_give_an_answer_at_the_deadline(
    runner: Runner, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/rss").respond_with_data((FEEDS / "news-rss.xml").read_bytes())
    fetcher = Fetcher(seconds=30)
    async with never_answering() as address:
        sources: dict[SourceKind, Source] = {
            WEB: SearxngSource(fetcher, f"http://127.0.0.1:{free_port()}"),
            ACADEMIC: ArxivSource(fetcher, f"{address}/api/query"),
            NEWS: NewsSource(fetcher, [httpserver.url_for("/rss")]),
        }
        result, calls = await research(runner, sources, deadline=5.0)
    assert result.state is RunState.PARTIAL
    assert set(gaps(result)) == {"web", "academic"}
    assert "cannot be reached" in gaps(result)["web"]
    assert gaps(result)["academic"] == "academic: no answer within 5 s"
    assert result.sources[1].seconds == pytest.approx(5.0, abs=1.0)
    assert result.cited[0].title == "Town halls swap boilers for heat pumps"
    told = said(next(call for call in calls if is_synthesis(call)))
    assert "The source 'academic' gave nothing: academic: no answer within 5 s." in told
    assert "The source 'web' gave nothing: " in told


async def test_each_source_has_its_own_time(runner: Runner) -> None:
    sources = all_three(news=Given((hit("Late"),), seconds=60))
    result, _ = await research(runner, sources, sources=plans(WEB, NEWS, news=1.0))
    assert gaps(result) == {"news": "news: no answer within 1 s"}
    assert [finding.id for finding in result.cited] == ["W1"]


async def test_a_passing_error_is_tried_again(runner: Runner) -> None:
    class Recovering(Given):
        async def search(self, query: str, limit: int) -> Any:
            self.error = (lambda: retryable(ErrorKind.SOURCE_UNAVAILABLE, "503")) if not self.asked else None
            return await super().search(query, limit)

    web = Recovering((hit("Web page"),))
    result, _ = await research(runner, {WEB: web}, sources=plans(WEB))
    assert result.state is RunState.COMPLETED
    assert len(web.asked) == 2


async def test_a_citation_to_nothing_is_removed_and_reported(runner: Runner) -> None:
    def inventing(call: ModelCall) -> str:
        return "Good [W1]. Invented [W7], and counted [3]." if is_synthesis(call) else "note [W1]"

    result, _ = await research(runner, all_three(), inventing, sources=plans(WEB))
    answer = await runner.text(result.answer)
    assert answer.startswith("Good [1]. Invented, and counted.")
    assert result.removed == ("[W7]", "[3]")
    assert "citations to nothing were removed: [W7], [3]" in result.notes


async def test_an_answer_without_citations_says_so(runner: Runner) -> None:
    result, _ = await research(runner, all_three(), lambda call: "I just know.", sources=plans(WEB))
    assert result.cited == ()
    assert "the answer cites none of its sources" in result.notes


async def test_local_documents_are_searched_when_nothing_else_answers(runner: Runner) -> None:
    local = LocalSource(PROJECT / "samples" / "library", runner.settings.state_dir, 1_000_000)
    sources = all_three(web=dead(), academic=dead(), news=Given()) | {LOCAL: local}
    result, calls = await research(runner, sources)
    assert result.state is RunState.PARTIAL
    assert set(gaps(result)) == {"web", "academic", "news"}
    assert gaps(result)["news"] == "nothing found"
    assert result.sources[-1].source is LOCAL
    assert "heat-pumps.md" in [finding.url for finding in result.cited]
    assert any("local documents" in note for note in result.notes)
    assert len(calls) == 2


async def test_too_few_sources_fail_the_run_with_their_causes_and_what_there_is(runner: Runner) -> None:
    sources = all_three(web=dead(), academic=Given()) | {LOCAL: dead()}
    error = await failure(runner, sources, min_sources=2)
    assert kind_of(error) is ErrorKind.NOTHING_SUCCEEDED
    assert "1 of the 2 sources needed" in text_of(error)
    assert "web: it answered 404" in text_of(error)
    partial = ResearchResult.model_validate(error.details[0])
    assert partial.state is RunState.FAILED
    assert partial.answer is None
    assert [outcome.findings for outcome in partial.sources] == [0, 0, 1, 0]
    assert await runner.text(partial.sources[2].notes) == "N1 matters [N1]."


async def test_nothing_anywhere_fails_the_run(runner: Runner) -> None:
    error = await failure(runner, all_three(web=dead(), academic=dead(), news=dead()) | {LOCAL: Given()})
    assert kind_of(error) is ErrorKind.NOTHING_SUCCEEDED
    assert "local: nothing found" in text_of(error)


async def test_local_documents_that_were_asked_for_are_not_searched_twice(runner: Runner) -> None:
    local = Given()
    await failure(runner, {LOCAL: local}, sources=plans(LOCAL))
    assert len(local.asked) == 1


async def test_findings_that_nobody_read_still_reach_the_synthesiser(runner: Runner) -> None:
    def no_readers(call: ModelCall) -> str:
        if is_synthesis(call):
            return "From the abstract [A1]."
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no")

    result, calls = await research(runner, all_three(), no_readers, sources=plans(ACADEMIC))
    assert result.state is RunState.PARTIAL
    assert "nobody read them" in gaps(result)["academic"]
    assert [finding.id for finding in result.cited] == ["A1"]
    told = said(calls[-1])
    assert "All about Paper." in told
    assert "The source 'academic' was not read by its agent" in told


async def test_a_synthesiser_that_fails_leaves_the_notes_in_the_error(runner: Runner) -> None:
    def no_synthesis(call: ModelCall) -> str:
        if "What do these notes" in said(call):
            raise non_retryable(ErrorKind.MODEL_NOT_FOUND, "no such model")
        return "note"

    with pytest.raises(WorkflowFailureError) as caught:
        await research(runner, all_three(), no_synthesis, sources=plans(WEB))
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    assert kind_of(error) is ErrorKind.MODEL_NOT_FOUND
    assert ResearchResult.model_validate(error.details[0]).sources[0].notes is not None


async def test_cancelling_the_run_cancels_all_branches(runner: Runner) -> None:
    sources = all_three(web=Given(seconds=600), news=Given(seconds=600))
    async with runner.worker(citing, sources):
        handle = await runner.start(RUN, ResearchRequest(topic=TOPIC))

        async with asyncio.timeout(30):
            while "academic · read" not in await steps_done(handle):  # noqa: ASYNC110 - a query is all there is to ask
                await asyncio.sleep(0.05)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        status = await handle.query(ParallelResearchWorkflow.status)
    states = {row.step: row.state for row in status.steps}
    assert states["web · search"] is states["news · search"] is StepState.FAILED
    assert "synthesise" not in states


async def test_a_source_named_twice_and_an_unknown_agent_are_refused(runner: Runner) -> None:
    error = await failure(runner, all_three(), sources=plans(WEB, NEWS, WEB))
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert "web" in text_of(error)
    stranger = (SourcePlan(source=WEB, agent="nobody"),)
    assert kind_of(await failure(runner, all_three(), sources=stranger)) is ErrorKind.UNKNOWN_AGENT


async def test_a_long_topic_travels_by_reference(runner: Runner) -> None:
    web = Given((hit("Web page"),))
    topic = "How efficient are heat pumps in winter? " * 400
    async with runner.worker(citing, {WEB: web}) as llm:
        handle = await runner.start(RUN, ResearchRequest(topic=topic, sources=plans(WEB)))
        await handle.result()
        history = (await handle.fetch_history()).to_json()
    # A topic that fills the window is cut like any other material.
    assert all('<part label="topic">\nHow efficient are heat pumps in winter?' in said(call) for call in llm.calls)
    assert len(web.asked[0]) <= 1000
    assert len(history) < 3 * len(topic)
