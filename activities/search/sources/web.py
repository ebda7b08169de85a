"""The web: a SearXNG instance or Brave's API where the operator names one, else public search engines without a key.

SearXNG answers JSON only where its operator allowed it (`search.formats` in settings.yml), and says no more than 403.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.search.sources.base import Answered, Hit
from activities.search.sources.feeds import day_of
from activities.search.sources.fetching import Fetcher
from activities.search.sources.words import brief
from outlast.documents.formats.feed import web_address
from outlast.documents.formats.markup import plain
from outlast.errors import ErrorKind, non_retryable, retryable
from outlast.extras import MissingExtraError, require

BRAVE_URL = "https://api.search.brave.com/res/v1/web/search"
QUERY_CHARACTERS = 400
QUERY_WORDS = 50
"""What Brave takes at most."""
BRAVE_RESULTS = 20
SNIPPET_CHARACTERS = 20_000
"""Most of a result's text that is looked at: what follows is never shown, and reading it would hold up the event loop."""
REASON_CHARACTERS = 300


class UnconfiguredWeb:
    """Stands for a web search that nobody configured, and says what to set."""

    @property
    def fingerprint(self) -> str | None:
        """Remember nothing."""
        return None

    async def search(self, query: str, limit: int) -> Answered:  # noqa: ARG002 - whatever is asked
        """Raise SourceNotConfigured."""
        raise non_retryable(
            ErrorKind.SOURCE_NOT_CONFIGURED,
            "no web search is configured: WEB_SEARCH is off; set it to auto, or set SEARXNG_URL to a SearXNG instance that "
            "answers JSON, or BRAVE_API_KEY to a key of Brave's search API",
        )


class PublicEngines:
    """Searches the web through public engines that need no key, by the library ddgs (https://github.com/deedy5/ddgs).

    `engines` are names that ddgs knows (`duckduckgo`, `brave`, `mojeek`, …); none means that it picks. They refuse whoever asks
    too often, so heavy use wants a service of one's own.
    """

    def __init__(self, engines: Sequence[str] = (), *, seconds: int = 10) -> None:
        self._engines = ",".join(engines) or "auto"
        self._seconds = seconds

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one choice of engines from another."""
        return f"ddgs {self._engines}"

    async def search(self, query: str, limit: int) -> Answered:
        """Return the pages found; raises SourceUnavailable where no engine answers, which passes."""
        return await asyncio.to_thread(self._search, brief(query, QUERY_CHARACTERS, QUERY_WORDS), limit)

    def _search(self, query: str, limit: int) -> Answered:
        try:
            require("search", "asking public search engines")
        except MissingExtraError as error:
            raise non_retryable(ErrorKind.SOURCE_NOT_CONFIGURED, str(error)) from error
        # It loads a client with a TLS stack of its own, for which no other source has a use.
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException

        try:
            found = DDGS(timeout=self._seconds).text(query, max_results=limit, backend=self._engines)
        except DDGSException as error:
            if "No results found" in str(error):
                return Answered()
            reason = " ".join(str(error).split())[:REASON_CHARACTERS]
            raise retryable(
                ErrorKind.SOURCE_UNAVAILABLE,
                f"no public search engine answered ({reason}); for steady use set SEARXNG_URL or BRAVE_API_KEY",
            ) from None
        return Answered(
            tuple(_hits([{**hit, "url": hit.get("href")} for hit in found], text="body", published=(), limit=limit))
        )


class SearxngSource:
    """Searches the web through a SearXNG instance (https://docs.searxng.org/dev/search_api.html)."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url.rstrip("/").removesuffix("/search") + "/search"

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one instance from another."""
        return self._url

    async def search(self, query: str, limit: int) -> Answered:
        """Return the pages found, in the order of the instance."""
        parameters = {"q": brief(query, QUERY_CHARACTERS, QUERY_WORDS), "format": "json"}
        try:
            data = await self._fetcher.get_json(self._url, parameters=parameters)
        except ApplicationError as error:
            if "answered 403" not in error.message:
                raise
            advice = "allow `json` under search.formats in its settings.yml, or check SEARXNG_URL"
            raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{error.message}: {advice}") from None
        hits = _hits(data.get("results"), text="content", published=("publishedDate",), limit=limit)
        silent = [" ".join(map(str, each)) for each in data.get("unresponsive_engines") or () if isinstance(each, list)]
        notes = (f"engines that did not answer: {', '.join(silent)}"[:300],) if silent else ()
        return Answered(tuple(hits), notes, whole=not silent)


class BraveSource:
    """Searches the web through Brave's API (https://api-dashboard.search.brave.com/app/documentation)."""

    def __init__(self, fetcher: Fetcher, key: str, url: str = BRAVE_URL) -> None:
        self._fetcher = fetcher
        self._key = key
        self._url = url

    @property
    def fingerprint(self) -> str | None:
        """Distinguish one endpoint from another."""
        return self._url

    async def search(self, query: str, limit: int) -> Answered:
        """Return the pages found, in Brave's order."""
        parameters = {
            "q": brief(query, QUERY_CHARACTERS, QUERY_WORDS),
            "count": str(min(limit, BRAVE_RESULTS)),
            "text_decorations": "false",
        }
        try:
            data = await self._fetcher.get_json(
                self._url, parameters=parameters, headers={"X-Subscription-Token": self._key}
            )
        except ApplicationError as error:
            if not any(f"answered {status}" in error.message for status in (401, 403, 422)):
                raise
            raise non_retryable(ErrorKind.SOURCE_UNAVAILABLE, f"{error.message}: check BRAVE_API_KEY") from None
        web = data.get("web")
        found = web.get("results") if isinstance(web, dict) else None
        return Answered(tuple(_hits(found, text="description", published=("page_age", "age"), limit=limit)))


def _hits(results: Any, *, text: str, published: Sequence[str], limit: int) -> list[Hit]:
    """Read a list of results leniently: what has neither title nor address is left out."""
    hits: list[Hit] = []
    for result in results if isinstance(results, list) else ():
        if len(hits) == limit:
            break
        if not isinstance(result, dict):
            continue
        url, title = web_address(result.get("url")), _snippet(result.get("title"))
        if url:
            days = [day for field in published if (day := day_of(result.get(field)))]
            hits.append(Hit(title or url, url, next(iter(days), ""), _snippet(result.get(text))))
    return hits


def _snippet(value: Any) -> str:
    return plain(str(value or "")[:SNIPPET_CHARACTERS])
