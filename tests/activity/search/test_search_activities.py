"""The activity `search`: findings with ids, texts in the content store, and answers remembered for the day."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.search.activities import TEXT_LENGTH, SearchActivities
from activities.search.contracts import CiteRequest, Finding, Findings, SearchRequest, SourceKind
from activities.search.sources.base import Answered, Hit
from outlast.contracts import Part
from outlast.errors import ErrorKind, kind_of, non_retryable
from outlast.storage.activities import ContentStore

HITS = (Hit("First", "https://one.example/", "2026-03-01", "Warm."), Hit("Second", "https://two.example/"))


@dataclass
class Source:
    answered: Answered = field(default_factory=lambda: Answered(HITS))
    fingerprint: str | None = "here"
    error: Exception | None = None
    asked: int = 0

    async def search(self, query: str, limit: int) -> Answered:
        self.asked += 1
        if self.error:
            raise self.error
        return replace(self.answered, hits=self.answered.hits[:limit])


async def search(store: ContentStore, source: Any, query: str = "tides", **fields: Any) -> Findings:
    request = SearchRequest(source=SourceKind.ACADEMIC, query=query, **fields)
    found = await ActivityEnvironment().run(SearchActivities(store, {SourceKind.ACADEMIC: source}).search, request)
    assert isinstance(found, Findings)
    return found


async def test_findings_have_ids_and_their_text_stands_under_them(store: ContentStore) -> None:
    found = await search(store, Source())
    assert [(each.id, each.title) for each in found.found] == [("A1", "First"), ("A2", "Second")]
    assert await store.text(found.text) == (
        "[A1] First (2026-03-01) https://one.example/\nWarm.\n\n[A2] Second https://two.example/"
    )
    assert not found.cached


async def test_long_texts_titles_and_notes_are_cut_and_travel_by_reference(store: ContentStore) -> None:
    long = tuple(Hit("Title " * 100, "https://x.example/" + "y" * 2000, "", "word " * 5000) for _ in range(3))
    found = await search(store, Source(Answered(long, ("note " * 100,) * 9)))
    assert found.text.ref
    text = await store.text(found.text)
    assert len(text) < 3 * (TEXT_LENGTH + 1000)
    assert text.count("…") >= 3
    assert all(len(each.title) <= 200 and len(each.url) <= 500 for each in found.found)
    assert len(found.notes) == 5
    assert len(found.model_dump_json()) < 5000


async def test_an_answer_is_remembered_for_the_day_by_other_workers_too(store: ContentStore) -> None:
    first, second = Source(), Source()
    found = await search(store, first)
    again = await search(store, second, "  tides ")
    assert (first.asked, second.asked) == (1, 0)
    assert again == found.model_copy(update={"cached": True})


async def test_another_question_limit_or_configuration_is_asked_anew(store: ContentStore) -> None:
    source = Source()
    await search(store, source)
    await search(store, source, "ebb")
    assert len((await search(store, source, limit=1)).found) == 1
    source.fingerprint = "elsewhere"
    await search(store, source)
    assert source.asked == 4


@pytest.mark.parametrize(
    "source",
    [Source(Answered()), Source(Answered(HITS, whole=False)), Source(fingerprint=None)],
    ids=["empty", "in part", "by choice"],
)
async def test_what_may_be_better_later_is_not_remembered(store: ContentStore, source: Source) -> None:
    await search(store, source)
    assert not (await search(store, source)).cached
    assert source.asked == 2


async def test_nothing_found_is_an_answer(store: ContentStore) -> None:
    found = await search(store, Source(Answered(notes=("looked everywhere",))))
    assert found.found == ()
    assert found.notes == ("looked everywhere",)


async def test_errors_keep_their_kind_and_unknown_ones_are_tried_again(store: ContentStore) -> None:
    with pytest.raises(ApplicationError) as caught:
        await search(store, Source(error=non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, "set X")))
    assert kind_of(caught.value) is ErrorKind.SOURCE_NOT_CONFIGURED
    with pytest.raises(ApplicationError, match="KeyError") as caught:
        await search(store, Source(error=KeyError("x")))
    assert not caught.value.non_retryable
    with pytest.raises(ApplicationError, match="no source web"):
        await ActivityEnvironment().run(
            SearchActivities(store, {}).search, SearchRequest(source=SourceKind.WEB, query="x")
        )


async def test_a_slow_source_beats_and_can_be_cancelled(store: ContentStore) -> None:
    env = ActivityEnvironment()
    env.info = replace(env.info, heartbeat_timeout=timedelta(milliseconds=60))
    env.on_heartbeat = lambda *_: env.cancel()

    class Slow(Source):
        async def search(self, query: str, limit: int) -> Answered:
            await asyncio.Event().wait()
            raise AssertionError

    activities = SearchActivities(store, {SourceKind.ACADEMIC: Slow()})
    with pytest.raises(asyncio.CancelledError):
        await env.run(activities.search, SearchRequest(source=SourceKind.ACADEMIC, query="tides"))


async def test_citations_are_checked_with_texts_from_the_store_and_back(store: ContentStore) -> None:
    findings = (Finding(id="A1", title="First", url="https://one.example/"),)
    text = Part(ref=await store.put(("Warm [A1]. Dry [A7]. " + "More. " * 500).encode()))
    cited = await ActivityEnvironment().run(
        SearchActivities(store, {}).check_citations, CiteRequest(text=text, findings=findings)
    )
    assert cited.content.ref
    written = await store.text(cited.content)
    assert written.startswith("Warm [1]. Dry. More.")
    assert written.endswith("- [1] First https://one.example/")
    assert (cited.cited, cited.removed) == (findings, ("[A7]",))
