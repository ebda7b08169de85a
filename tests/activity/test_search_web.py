"""Web search through SearXNG and Brave, in the form of their real answers, on a real HTTP server."""

import pytest
from pytest_httpserver import HTTPServer
from temporalio.exceptions import ApplicationError

from activities.content import ContentStore
from activities.contracts import SourceKind
from activities.errors import ErrorKind, kind_of
from activities.sources.base import Source
from activities.sources.configured import SourceOptions, configured_sources
from activities.sources.fetching import Fetcher
from activities.sources.web import BraveSource, SearxngSource, UnconfiguredWeb
from bootstrap import Settings

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
    def web(**fields: str) -> Source:
        paths = {"library_dir": settings.state_dir, "index_dir": settings.state_dir, "max_document_bytes": 1}
        return configured_sources(SourceOptions(**paths, **fields), store)[SourceKind.WEB]  # type: ignore[arg-type]

    assert isinstance(web(searxng_url="http://s", brave_api_key="k"), SearxngSource)
    assert isinstance(web(brave_api_key="k"), BraveSource)
    nothing = web()
    assert isinstance(nothing, UnconfiguredWeb)
    error = await error_of(nothing)
    assert kind_of(error) is ErrorKind.SOURCE_NOT_CONFIGURED
    assert "SEARXNG_URL" in error.message
    assert "BRAVE_API_KEY" in error.message


def test_the_key_is_not_shown(settings: Settings) -> None:
    options = SourceOptions(settings.state_dir, settings.state_dir, 1, brave_api_key="k3y")
    assert "k3y" not in repr(options)
