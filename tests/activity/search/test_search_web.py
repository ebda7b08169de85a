"""Web search through SearXNG and Brave, in the form of their real answers, on a real HTTP server."""

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError

from activities.search.contracts import SourceKind
from activities.search.sources.base import Source
from activities.search.sources.configured import SourceOptions, configured_sources
from activities.search.sources.fetching import Fetcher
from activities.search.sources.web import BraveSource, PublicEngines, SearxngSource, UnconfiguredWeb
from outlast.client import Settings
from outlast.errors import ErrorKind, kind_of
from outlast.storage.activities import ContentStore
from tests.processes import free_port

SEARXNG = {
    "query": "heat pumps",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://one.example/",
            "title": "One &amp; only",
            "content": "About <b>heat</b> pumps.",
            "publishedDate": "2026-02-01T10:00:00",
            "engine": "duckduckgo",
            "score": 4.0,
        },
        {"url": "https://two.example/", "title": "", "content": None, "publishedDate": None},
        {"url": "javascript:alert(1)", "title": "bad"},
        "crooked",
        {"url": "https://three.example/", "title": "Three", "content": "More."},
    ],
    "unresponsive_engines": [["google", "timeout"]],
}
BRAVE = {
    "type": "search",
    "web": {
        "type": "search",
        "results": [
            {
                "title": "One",
                "url": "https://one.example/",
                "description": "About <strong>heat</strong> pumps.",
                "page_age": "2026-01-15T00:00:00",
                "age": "January 15, 2026",
            },
            {"title": "Two", "url": "https://two.example/", "description": "Old.", "age": "2 days ago"},
        ],
    },
}


async def error_of(source: Source) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await source.search("heat pumps", 5)
    return caught.value


async def test_pages_of_searxng_are_read_leniently(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/searx/search", query_string={"q": "heat pumps", "format": "json"}).respond_with_json(
        SEARXNG
    )
    answered = await SearxngSource(Fetcher(), httpserver.url_for("/searx/")).search("heat\n pumps", 2)
    assert [(hit.title, hit.url, hit.published, hit.text) for hit in answered.hits] == [
        ("One & only", "https://one.example/", "2026-02-01", "About heat pumps."),
        ("https://two.example/", "https://two.example/", "", ""),
    ]
    assert answered.notes == ("engines that did not answer: google timeout",)
    assert not answered.whole


async def test_searxng_without_json_says_what_to_allow(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/search").respond_with_data("Forbidden", status=403)
    error = await error_of(SearxngSource(Fetcher(), httpserver.url_for("")))
    assert error.non_retryable
    assert "search.formats" in error.message


async def test_pages_of_brave_are_asked_for_with_the_key(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/brave", headers={"X-Subscription-Token": "k3y"}).respond_with_json(BRAVE)
    answered = await BraveSource(Fetcher(), "k3y", httpserver.url_for("/brave")).search("heat pumps", 50)
    assert [(hit.title, hit.published, hit.text) for hit in answered.hits] == [
        ("One", "2026-01-15", "About heat pumps."),
        ("Two", "", "Old."),
    ]
    asked = httpserver.log[0][0].args
    assert (asked["q"], asked["count"]) == ("heat pumps", "20")


async def test_long_questions_are_cut_to_their_telling_words(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/brave").respond_with_json(BRAVE)
    await BraveSource(Fetcher(), "k", httpserver.url_for("/brave")).search(
        "What is the heat of a pump in winter? " * 30, 5
    )
    assert httpserver.log[0][0].args["q"] == "heat pump winter"


async def test_a_wrong_key_names_the_setting_and_not_the_key(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/brave").respond_with_json({"error": "invalid"}, status=401)
    error = await error_of(BraveSource(Fetcher(), "k3y", httpserver.url_for("/brave")))
    assert error.non_retryable
    assert "BRAVE_API_KEY" in error.message
    assert "k3y" not in error.message


@pytest.mark.parametrize("body", [{}, {"web": None}, {"web": {"results": "none"}}, {"results": None}])
async def test_an_answer_without_results_is_no_finding(httpserver: HTTPServer, body: dict[str, object]) -> None:
    httpserver.expect_request("/search").respond_with_json(body)
    sources = (
        BraveSource(Fetcher(), "k", httpserver.url_for("/search")),
        SearxngSource(Fetcher(), httpserver.url_for("/search")),
    )
    for source in sources:
        assert (await source.search("heat pumps", 5)).hits == ()


async def test_the_configured_service_is_used_and_none_names_both_settings(
    settings: Settings, store: ContentStore
) -> None:
    def web(**fields: object) -> Source:
        paths = {"library_dir": settings.state_dir, "index_dir": settings.state_dir, "max_document_bytes": 1}
        return configured_sources(SourceOptions(**paths, **fields), store)[SourceKind.WEB]  # type: ignore[arg-type]

    assert isinstance(web(searxng_url="http://s", brave_api_key="k"), SearxngSource)
    assert isinstance(web(brave_api_key="k"), BraveSource)
    assert isinstance(web(), PublicEngines), "without any setting the public engines are asked"
    assert web(web_search=("mojeek", "brave")).fingerprint == "ddgs mojeek,brave"
    nothing = web(web_search=("off",))
    assert isinstance(nothing, UnconfiguredWeb)
    error = await error_of(nothing)
    assert kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED
    assert "SEARXNG_URL" in error.message
    assert "BRAVE_API_KEY" in error.message
    assert "WEB_SEARCH" in error.message


def test_the_key_is_not_shown(settings: Settings) -> None:
    options = SourceOptions(settings.state_dir, settings.state_dir, 1, brave_api_key="k3y")
    assert "k3y" not in repr(options)


DUCKDUCKGO = """<html><body><div class="serp__results">
<div class="result results_links web-result"><div class="links_main links_deep result__body">
 <h2 class="result__title"><a class="result__a" href="https://one.example/">One &amp; <b>only</b> heat pump guide</a></h2>
 <a class="result__snippet" href="https://one.example/">About <b>heat</b> pumps in winter.</a></div></div>
<div class="result results_links web-result"><div class="links_main links_deep result__body">
 <h2 class="result__title"><a class="result__a" href="https://duckduckgo.com/y.js?ad=1">Buy heat pumps</a></h2>
 <a class="result__snippet" href="https://duckduckgo.com/y.js?ad=1">An advertisement.</a></div></div>
</div></body></html>"""
MOJEEK = """<html><body><ul class="results-standard results"><li><a class="ob" href="https://two.example/">x</a>
<h2><a class="title" href="https://two.example/">Heat pumps, two</a></h2><p class="s">More about <strong>heat</strong> pumps.</p>
</li></ul></body></html>"""


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer) -> PublicEngines:
    """Two engines of ddgs whose addresses are here, so that nothing leaves this machine."""
    from ddgs.engines import ENGINES

    for name in ("duckduckgo", "mojeek"):
        monkeypatch.setattr(ENGINES["text"][name], "search_url", httpserver.url_for(f"/{name}"))
    return PublicEngines(("duckduckgo", "mojeek"), seconds=3)


async def test_public_engines_are_asked_without_a_key_and_their_pages_joined(
    engines: PublicEngines, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/duckduckgo", method="POST").respond_with_data(DUCKDUCKGO, content_type="text/html")
    httpserver.expect_request("/mojeek", query_string="q=heat+pumps").respond_with_data(
        MOJEEK, content_type="text/html"
    )
    answered = await engines.search("heat pumps", 11)
    assert sorted((hit.title, hit.url, hit.text) for hit in answered.hits) == [
        ("Heat pumps, two", "https://two.example/", "More about heat pumps."),
        ("One & only heat pump guide", "https://one.example/", "About heat pumps in winter."),
    ]


async def test_engines_that_refuse_are_an_outage_and_ones_that_find_nothing_are_none(
    engines: PublicEngines, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddgs.engines import ENGINES

    for name in ("duckduckgo", "mojeek"):
        httpserver.expect_request(f"/{name}").respond_with_data("<html></html>")
    assert (await engines.search("heat pumps", 5)).hits == ()
    for name in ("duckduckgo", "mojeek"):
        monkeypatch.setattr(ENGINES["text"][name], "search_url", f"http://127.0.0.1:{free_port()}/")
    error = await error_of(PublicEngines(("duckduckgo", "mojeek"), seconds=3))
    assert (kind_of(error), error.non_retryable) == (ErrorKind.SOURCE_UNAVAILABLE, False)
    assert "SEARXNG_URL" in error.message
