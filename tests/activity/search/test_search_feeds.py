"""arXiv and news feeds in their real formats, on a real HTTP server: whole, broken, empty, wrong."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError
from werkzeug import Request, Response

from activities.search.sources.arxiv import ArxivSource, arxiv_query
from activities.search.sources.fetching import Fetcher
from activities.search.sources.news import NewsSource
from activities.search.sources.turns import SharedTurns
from outlast.errors import ErrorKind, kind_of
from outlast.storage.activities import ContentStore
from tests.processes import free_port

FEEDS = Path(__file__).parents[3] / "samples" / "feeds"
ARXIV, RSS, ATOM = ((FEEDS / name).read_bytes() for name in ("arxiv.xml", "news-rss.xml", "news-atom.xml"))
NO_ENTRIES = b"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><title>none</title></feed>"
REFUSAL = b"""<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><entry>
<id>http://arxiv.org/api/errors#incorrect_id_format</id><title>Error</title><summary>incorrect id format</summary>
</entry></feed>"""
BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><rss><channel><title>&b;</title></channel></rss>'
)
QUERY = "heat pumps"


@pytest.fixture
def arxiv(httpserver: HTTPServer) -> Callable[[bytes], ArxivSource]:
    def serving(body: bytes) -> ArxivSource:
        httpserver.expect_request("/api/query").respond_with_data(body, content_type="application/atom+xml")
        return ArxivSource(Fetcher(), httpserver.url_for("/api/query"))

    return serving


@pytest.fixture
def news(httpserver: HTTPServer) -> Callable[..., NewsSource]:
    def serving(**feeds: bytes) -> NewsSource:
        for name, body in feeds.items():
            httpserver.expect_request(f"/{name}").respond_with_data(body)
        return NewsSource(Fetcher(), [httpserver.url_for(f"/{name}") for name in feeds])

    return serving


async def error_of(source: ArxivSource | NewsSource) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await source.search(QUERY, 5)
    return caught.value


async def test_papers_come_with_page_date_authors_and_abstract(
    arxiv: Callable[[bytes], ArxivSource], httpserver: HTTPServer
) -> None:
    answered = await arxiv(ARXIV).search(QUERY, 5)
    first, second = answered.hits
    assert first.title == "Seasonal performance of air source heat pumps in existing buildings: an invented sample"
    assert first.url == "https://arxiv.org/abs/2501.00001v2"
    assert (first.published, second.published) == ("2025-01-14", "2024-12-20")
    assert first.text.startswith("By Ada Example, Björn Muster. We measure 120 air source heat pumps")
    assert first.text.endswith("($R^2 = 0.41$ < 0.5).")
    assert answered.whole
    asked = httpserver.log[0][0].args
    assert asked["search_query"] == "all:heat AND all:pumps"
    assert (asked["max_results"], asked["sortBy"]) == ("5", "relevance")


async def test_no_more_papers_are_given_than_were_asked_for(arxiv: Callable[[bytes], ArxivSource]) -> None:
    assert len((await arxiv(ARXIV).search(QUERY, 1)).hits) == 1


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("What are heat pumps?", "all:heat AND all:pumps"),
        ("ti:electron AND cat:quant-ph", "ti:electron AND cat:quant-ph"),
        (
            "How efficient are heat pumps in cold climates",
            "all:efficient OR all:heat OR all:pumps OR all:cold OR all:climates",
        ),
        ('"heat" (pump) OR\n\\x', "all:heat AND all:pump"),
    ],
)
def test_questions_become_queries(question: str, query: str) -> None:
    assert arxiv_query(question) == query


async def test_requests_to_arxiv_take_turns_that_workers_share(httpserver: HTTPServer, store: ContentStore) -> None:
    asked: list[float] = []

    def answer(_: Request) -> Response:
        asked.append(time.monotonic())
        return Response(ARXIV)

    httpserver.expect_request("/api/query").respond_with_handler(answer)
    workers = [
        ArxivSource(Fetcher(), httpserver.url_for("/api/query"), turns=SharedTurns(store, "arxiv", 0.5))
        for _ in range(3)
    ]
    await asyncio.gather(*(worker.search(QUERY, 1) for worker in workers))
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert len(gaps) == 2
    assert all(gap > 0.35 for gap in gaps), gaps


async def test_an_empty_feed_is_no_finding_and_no_error(arxiv: Callable[[bytes], ArxivSource]) -> None:
    answered = await arxiv(NO_ENTRIES).search(QUERY, 5)
    assert (answered.hits, answered.notes) == ((), ())


@pytest.mark.parametrize(
    "body", [b"", b"<html><body>We are down</body></html>", b"<feed xmlns='http://www.w3", b"\xff\x00"]
)
async def test_what_is_no_feed_is_a_passing_error_that_says_so(
    arxiv: Callable[[bytes], ArxivSource], body: bytes
) -> None:
    error = await error_of(arxiv(body))
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert not error.non_retryable
    assert "not an RSS or Atom feed" in error.message


async def test_a_feed_that_broke_off_gives_what_it_holds_with_a_note(arxiv: Callable[[bytes], ArxivSource]) -> None:
    answered = await arxiv(ARXIV[: ARXIV.index(b"2412.00002v1</id>")]).search(QUERY, 5)
    assert answered.hits[0].url == "https://arxiv.org/abs/2501.00001v2"
    assert "broken XML" in answered.notes[0]
    assert not answered.whole


async def test_a_refusal_in_the_form_of_an_entry_is_an_error(arxiv: Callable[[bytes], ArxivSource]) -> None:
    error = await error_of(arxiv(REFUSAL))
    assert error.non_retryable
    assert "incorrect id format" in error.message


async def test_news_of_all_feeds_are_ranked_by_the_question(news: Callable[..., NewsSource]) -> None:
    answered = await news(rss=RSS, atom=ATOM).search("What is new about heat pumps?", 5)
    assert [(hit.title, hit.url, hit.published) for hit in answered.hits] == [
        ("Heat pump sales up again", "https://wire.example/sales", "2026-03-03"),
        ("Town halls swap boilers for heat pumps", "https://courier.example/heat-pumps?utm=rss&id=1", "2026-03-01"),
        ("Grid operator warns of cold evenings", "https://courier.example/grid", "2026-02-27"),
    ]
    assert answered.hits[0].text == "Makers sold 12 percent more heat pumps in February than a year before."
    assert answered.hits[1].text.startswith("Forty town halls will be heated by heat pumps by next winter")
    assert answered.whole


async def test_news_about_something_else_are_no_findings(news: Callable[..., NewsSource]) -> None:
    assert (await news(rss=RSS, atom=ATOM).search("deep sea squid", 5)).hits == ()


async def test_an_item_that_stands_in_two_feeds_is_found_once(news: Callable[..., NewsSource]) -> None:
    assert len((await news(one=RSS, two=RSS).search(QUERY, 9)).hits) == 2


async def test_a_dead_feed_is_a_note_and_the_answer_not_whole(
    news: Callable[..., NewsSource], httpserver: HTTPServer
) -> None:
    answered = await news(atom=ATOM, page=b"<html>moved</html>", bomb=BOMB).search(QUERY, 5)
    assert [hit.title for hit in answered.hits] == ["Heat pump sales up again"]
    assert [note.split(": ")[0] for note in answered.notes] == [
        f"feed {httpserver.url_for('/page')}",
        f"feed {httpserver.url_for('/bomb')}",
    ]
    assert not answered.whole


async def test_all_feeds_dead_is_an_error_final_only_if_all_of_them_are(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/gone").respond_with_data(b"", status=410)
    gone, away = httpserver.url_for("/gone"), f"http://127.0.0.1:{free_port()}/rss"
    error = await error_of(NewsSource(Fetcher(), [gone, away]))
    assert kind_of(error) is ErrorKind.SOURCE_UNAVAILABLE
    assert not error.non_retryable
    assert gone in error.message
    assert away in error.message
    assert (await error_of(NewsSource(Fetcher(), [gone]))).non_retryable


async def test_no_feeds_name_the_setting() -> None:
    error = await error_of(NewsSource(Fetcher(), []))
    assert kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED
    assert "NEWS_FEEDS" in error.message


BING = b"""<?xml version="1.0" encoding="utf-8" ?><rss version="2.0"
xmlns:News="https://www.bing.com/news/search?q=heat&amp;format=rss"><channel><title>heat - BingNews</title><item>
<title>Record year for heating</title>
<link>http://www.bing.com/news/apiclick.aspx?ref=FexRss&amp;aid=&amp;url=https%3a%2f%2fpaper.example%2fa%3fb%3d1&amp;c=9&amp;mkt=en-us</link>
<description>Sales rose.</description><pubDate>Fri, 06 Feb 2026 09:00:00 GMT</pubDate><News:Source>Paper</News:Source>
</item></channel></rss>"""


async def test_a_news_search_takes_the_question_and_leads_to_the_page_itself(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/news", query_string="format=rss&q=heat+pumps").respond_with_data(BING)
    httpserver.expect_request("/feed").respond_with_data(RSS)
    search = httpserver.url_for("/news?format=rss&q={query}")
    alone = await NewsSource(Fetcher(), [], search).search(QUERY, 5)
    assert [(hit.title, hit.url, hit.published) for hit in alone.hits] == [
        ("Record year for heating", "https://paper.example/a?b=1", "2026-02-06")
    ]
    both = await NewsSource(Fetcher(), [httpserver.url_for("/feed")], search).search(QUERY, 5)
    assert len(both.hits) > 1
    assert both.hits[-1] == alone.hits[0], "the operator's own feeds come first"


async def test_a_dead_news_search_is_a_note_without_the_question(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/feed").respond_with_data(RSS)
    dead = f"http://127.0.0.1:{free_port()}/news?q={{query}}"
    answered = await NewsSource(Fetcher(), [httpserver.url_for("/feed")], dead).search(QUERY, 5)
    assert (bool(answered.hits), answered.whole) == (True, False)
    assert "/news: " in answered.notes[0]
    assert "heat" not in answered.notes[0]


@pytest.mark.parametrize("link", ["http://[::1/apiclick.aspx?url=http://x.example", "http://ex\u2100mple/", "https://"])
async def test_an_entry_whose_link_is_no_address_costs_no_other(httpserver: HTTPServer, link: str) -> None:
    broken, whole = (
        f"<item><title>{title}</title><link>{to}</link></item>"
        for title, to in (("Broken", link), ("Tides", "http://a.example/1"))
    )
    items = broken + whole
    feed = f"<rss version='2.0'><channel><title>News</title>{items}</channel></rss>"
    httpserver.expect_request("/search").respond_with_data(feed)
    source = NewsSource(Fetcher(), [], httpserver.url_for("/search?q={query}"))
    answered = await source.search("tides", 5)
    assert [(hit.title, hit.url) for hit in answered.hits] == [("Broken", ""), ("Tides", "http://a.example/1")]
