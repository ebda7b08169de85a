"""Search as a feature of a worker: its activities, and the sources that the settings name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from activities.search.activities import SearchActivities
from activities.search.contracts import SourceKind
from activities.search.sources.base import Source
from activities.search.sources.configured import SourceOptions, configured_sources
from outlast.settings import Settings
from outlast.tools.standard.web import page_reader
from outlast.worker.registry import Registry

LIBRARY = Path(__file__).resolve().parents[2] / "samples" / "library"
"""The documents that are searched where LIBRARY_DIR names none."""


class Search:
    """The search activities; `sources` are searched in the place of those that the settings name."""

    def __init__(self, sources: Mapping[SourceKind, Source] | None = None) -> None:
        self._sources = sources
        self._built: SearchActivities | None = None

    def activities(self, registry: Registry) -> Sequence[Callable[..., Any]]:
        """Return the activities of the usual task queue."""
        search = self._search(registry)
        return [search.search, search.number_findings, search.check_citations]

    def one_by_one(self, registry: Registry) -> Sequence[Callable[..., Any]]:
        """Return the search of sources that want their requests spaced."""
        return [self._search(registry).search]

    def _search(self, registry: Registry) -> SearchActivities:
        if self._built is None:
            settings, store = registry.settings, registry.store
            reading = page_reader(private=settings.fetch_private)
            sources = self._sources or configured_sources(_source_options(settings), store, reading)
            self._built = SearchActivities(store, sources)
        return self._built


def _source_options(settings: Settings) -> SourceOptions:
    return SourceOptions(
        library_dir=settings.library_dir or LIBRARY,
        index_dir=settings.state_dir.resolve() / "library",
        max_document_bytes=settings.max_document_bytes,
        contact=settings.search_contact,
        arxiv_url=settings.arxiv_url,
        news_feeds=settings.news_feeds,
        news_search_url=settings.news_search_url,
        web_search=settings.web_search,
        pages=settings.research_pages,
        searxng_url=settings.searxng_url,
        brave_api_key=settings.brave_api_key.get_secret_value() if settings.brave_api_key else "",
    )
