"""The sources of one worker, made from its settings."""

from dataclasses import dataclass, field
from pathlib import Path

from activities.search.contracts import SourceKind
from activities.search.sources.arxiv import ARXIV_URL, SECONDS_BETWEEN, ArxivSource
from activities.search.sources.base import Source
from activities.search.sources.fetching import Fetcher
from activities.search.sources.local import LocalSource
from activities.search.sources.news import NEWS_SEARCH_URL, NewsSource
from activities.search.sources.pages import ReadPage, WithPages
from activities.search.sources.turns import SharedTurns
from activities.search.sources.web import (
    BRAVE_URL,
    BraveSource,
    PublicEngines,
    SearxngSource,
    UnconfiguredWeb,
)
from outlast.storage.activities import ContentStore

OFF, AUTO = "off", "auto"


@dataclass(frozen=True)
class SourceOptions:
    """What the operator decides about sources; `index_dir` is where the index of `library_dir` is kept."""

    library_dir: Path
    index_dir: Path
    max_document_bytes: int
    contact: str = ""
    arxiv_url: str = ARXIV_URL
    news_feeds: tuple[str, ...] = ()
    searxng_url: str = ""
    brave_api_key: str = field(default="", repr=False)
    brave_url: str = BRAVE_URL
    web_search: tuple[str, ...] = (AUTO,)
    """Public engines to ask where no service is named: `auto`, `off`, or names of engines."""
    news_search_url: str = NEWS_SEARCH_URL
    """A news search that answers with a feed, `{query}` in its address; `off` for none."""
    pages: int = 3
    """How many of the pages found are read, of each search of the web and of news."""


def configured_sources(
    options: SourceOptions, store: ContentStore, read_page: ReadPage | None = None
) -> dict[SourceKind, Source]:
    """Build every source; one that is not configured says so when it is asked, and names the setting.

    All workers on one content store take turns at arXiv. Without `read_page` no page is read.
    """
    fetcher = Fetcher(options.contact)
    turns = SharedTurns(store, options.arxiv_url, SECONDS_BETWEEN)
    return {
        SourceKind.WEB: _reading(_web(fetcher, options), options, read_page),
        SourceKind.ACADEMIC: ArxivSource(fetcher, options.arxiv_url, turns=turns),
        SourceKind.NEWS: _reading(_news(fetcher, options), options, read_page),
        SourceKind.LOCAL: LocalSource(options.library_dir, options.index_dir, options.max_document_bytes),
    }


def _web(fetcher: Fetcher, options: SourceOptions) -> Source:
    if options.searxng_url:
        return SearxngSource(fetcher, options.searxng_url)
    if options.brave_api_key:
        return BraveSource(fetcher, options.brave_api_key, options.brave_url)
    if options.web_search == (OFF,):
        return UnconfiguredWeb()
    return PublicEngines(tuple(name for name in options.web_search if name != AUTO))


def _news(fetcher: Fetcher, options: SourceOptions) -> Source:
    return NewsSource(fetcher, options.news_feeds, "" if options.news_search_url == OFF else options.news_search_url)


def _reading(source: Source, options: SourceOptions, read_page: ReadPage | None) -> Source:
    return WithPages(source, read_page, options.pages) if read_page is not None and options.pages else source
