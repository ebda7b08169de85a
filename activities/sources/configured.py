"""The sources of one worker, made from its settings."""

from dataclasses import dataclass, field
from pathlib import Path

from activities.content import ContentStore
from activities.contracts import SourceKind
from activities.sources.arxiv import ARXIV_URL, SECONDS_BETWEEN, ArxivSource
from activities.sources.base import Source
from activities.sources.fetching import Fetcher
from activities.sources.local import LocalSource
from activities.sources.news import NewsSource
from activities.sources.turns import SharedTurns
from activities.sources.web import BRAVE_URL, BraveSource, SearxngSource, UnconfiguredWeb


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


def configured_sources(options: SourceOptions, store: ContentStore) -> dict[SourceKind, Source]:
    """Build every source; one that is not configured says so when it is asked, and names the setting.

    All workers on one content store take turns at arXiv.
    """
    fetcher = Fetcher(options.contact)
    turns = SharedTurns(store, options.arxiv_url, SECONDS_BETWEEN)
    return {
        SourceKind.WEB: _web(fetcher, options),
        SourceKind.ACADEMIC: ArxivSource(fetcher, options.arxiv_url, turns=turns),
        SourceKind.NEWS: NewsSource(fetcher, options.news_feeds),
        SourceKind.LOCAL: LocalSource(options.library_dir, options.index_dir, options.max_document_bytes),
    }


def _web(fetcher: Fetcher, options: SourceOptions) -> Source:
    if options.searxng_url:
        return SearxngSource(fetcher, options.searxng_url)
    if options.brave_api_key:
        return BraveSource(fetcher, options.brave_api_key, options.brave_url)
    return UnconfiguredWeb()
