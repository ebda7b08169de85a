"""The best pages of a search are read from a real HTTP server: their passages on the question, and what happens to bad ones."""

import pytest
from pytest_httpserver import HTTPServer
from temporalio.testing import ActivityEnvironment

from activities.search.activities import SearchActivities, without_missing
from activities.search.contracts import SearchRequest, SourceKind
from activities.search.sources.base import Hit
from activities.search.sources.pages import PAGE_CHARACTERS, WithPages, passages
from outlast.storage.activities import ContentStore
from outlast.tools.standard.web import page_reader
from tests.workflow.choosing.researching import Given

FILLER = "The town hall has a new clock and the market moves to the river. " * 10
TELLING = "Heat pumps reach a coefficient of three in winter. "


def hit(name: str, url: str) -> Hit:
    return Hit(name, url, "", f"Snippet of {name}.")


async def test_the_first_pages_are_read_and_the_others_stay_snippets(httpserver: HTTPServer) -> None:
    page = f"<html><body><nav>Home</nav>{'<p>' + FILLER + '</p>'}<p>{TELLING}</p>{('<p>' + FILLER + '</p>') * 20}</body></html>"
    httpserver.expect_request("/good").respond_with_data(page, content_type="text/html")
    httpserver.expect_request("/gone").respond_with_data("no", status=404)
    hits = tuple(hit(name, httpserver.url_for(f"/{name}")) for name in ("good", "gone", "third"))
    source = WithPages(Given(hits, fingerprint="f"), page_reader(private=True), 2)
    answered = await source.search("How do heat pumps do in winter?", 5)
    assert TELLING.strip() in answered.hits[0].page, answered.notes
    assert len(answered.hits[0].page) <= PAGE_CHARACTERS + 100
    assert [one.page for one in answered.hits[1:]] == ["", ""]
    assert answered.notes == (f"1 of 2 pages could not be read ({hits[1].url}: {hits[1].url} answered 404 NOT FOUND)",)
    assert source.fingerprint == "f pages 2"
    assert len(httpserver.log) == 2


async def test_a_page_at_a_private_address_is_not_fetched(httpserver: HTTPServer) -> None:
    source = WithPages(Given((hit("inside", httpserver.url_for("/secret")),)), page_reader(), 3)
    answered = await source.search("heat pumps", 5)
    assert "no public address" in answered.notes[0]
    assert (answered.hits[0].page, httpserver.log) == ("", [])


async def test_a_page_that_never_comes_costs_its_own_time_and_a_note() -> None:
    async def never(url: str) -> str:
        raise TimeoutError

    answered = await WithPages(Given((hit("slow", "https://slow.example/"),)), never, 1, seconds=0.1).search("q", 5)
    assert answered.notes == ("1 of 1 pages could not be read (https://slow.example/: no answer in 0.1 s)",)


async def test_what_a_page_says_reaches_the_agent_under_its_finding(store: ContentStore) -> None:
    async def read(url: str) -> str:
        return TELLING

    given = WithPages(Given((hit("good", "https://good.example/"),)), read, 1)
    activities = SearchActivities(store, {SourceKind.WEB: given})
    asked = SearchRequest(source=SourceKind.WEB, query="heat pumps", first=4)
    found = await ActivityEnvironment().run(activities.search, asked)
    assert [finding.id for finding in found.found] == ["W4"]
    assert await store.text(found.text) == (
        f"[W4] good https://good.example/\nSnippet of good.\nFrom the page itself: {TELLING.strip()}"
    )


def test_passages_are_those_on_the_question_in_the_order_of_the_page() -> None:
    text = "\n\n".join([FILLER * 2, TELLING * 3, FILLER * 3, "Last: winter heat pumps freeze. " * 3, FILLER * 4])
    shown = passages(text, "heat pumps in winter", 1600)
    assert shown.index("coefficient") < shown.index("freeze")
    assert " … " in shown
    assert passages("short", "heat") == "short"
    assert passages(FILLER * 20, "heat pumps").startswith("The town hall")


@pytest.mark.parametrize(
    ("text", "answer", "missing"),
    [
        ("All is said [W1].", "All is said [W1].", ""),
        ("Answer [W1].\n\nMISSING: heat pump sales 2026", "Answer [W1].", "heat pump sales 2026"),
        ('Answer.\n- **MISSING:** "cold climates"\n', "Answer.", "cold climates"),
        ("Answer.\nMISSING: a\nMISSING: b", "Answer.", "a"),
        ("Answer.\nMISSING:", "Answer.", ""),
        ("Answer.\nMISSING: None.", "Answer.", ""),
        ("Answer.\nMISSING: (nothing is missing)", "Answer.", ""),
        ("Answer.\nMISSING: N/A\nMISSING: b", "Answer.", "b"),
        ("Answer.\nMISSING: none of the 2026 rules", "Answer.", "none of the 2026 rules"),
        ("Nothing is MISSING: it is whole.", "Nothing is MISSING: it is whole.", ""),
    ],
)
def test_what_the_writer_misses_is_taken_out_of_the_answer(text: str, answer: str, missing: str) -> None:
    assert without_missing(text) == (answer, missing)
