"""What a worker is built of: every activity, its tools and its sources, from the settings."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from activities.agent import AgentActivities
from activities.catalog import CatalogActivities
from activities.channels import channels
from activities.claims import ClaimActivities
from activities.content import ContentActivities, ContentStore
from activities.contracts import SourceKind
from activities.documents import DocumentActivities
from activities.gate_terms import GateTermsActivities
from activities.llm.base import LLM
from activities.notices import NoticeActivities
from activities.route_picks import RoutePickActivities
from activities.search import SearchActivities
from activities.sources.base import Source
from activities.sources.configured import SourceOptions, configured_sources
from activities.toolbox.mcp_servers import McpServers
from activities.toolbox.standard import standard_tools
from activities.toolbox.tool import Tool
from activities.toolbox.web import page_reader
from activities.tools import ToolActivities
from activities.trained_router import TrainedRouterActivities
from activities.transcripts import TranscriptActivities
from activities.undoing import UndoActivities
from bootstrap import Settings, SettingsError, web_ui_of


class Rooms:
    """Every activity of one worker, built on one content store, one model table and one model client."""

    def __init__(
        self,
        settings: Settings,
        llm: LLM,
        sources: Mapping[SourceKind, Source] | None = None,
        *,
        indexed: bool = False,
    ) -> None:
        try:
            store = ContentStore.open(settings.store_url, settings.content_inline_bytes)
            self.servers = McpServers.read(settings.mcp_servers_file)
            tools = tools_of(settings, store)
            told = channels(settings.notify_urls.get_secret_value() if settings.notify_urls else "")
        except (ValueError, OSError) as error:
            raise SettingsError(str(error)) from error
        models = settings.model_table()
        self.agent = AgentActivities(llm, store, models)
        self.catalog = CatalogActivities(settings.agents_dir, store, models, settings.heartbeat_timeout)
        self.claims = ClaimActivities(store)
        self.content = ContentActivities(store)
        self.gate_terms = GateTermsActivities(secret_of(settings), channels=len(told), indexed=indexed, store=store)
        self.notices = NoticeActivities(
            told, web_ui=partial(web_ui_of, settings), inbox_url=settings.inbox_url, store=store
        )
        self.documents = DocumentActivities(store, settings.max_document_bytes)
        self.route_picks = RoutePickActivities(store)
        reading = page_reader(private=settings.fetch_private)
        self.search = SearchActivities(store, sources or configured_sources(_source_options(settings), store, reading))
        self.tools = ToolActivities(store, tools, self.servers)
        self.trained_router = TrainedRouterActivities(store)
        self.transcripts = TranscriptActivities(store)
        self.undoing = UndoActivities(store, tools)

    @property
    def general(self) -> list[Callable[..., Any]]:
        """The activities of the task queue that everybody uses."""
        return [
            self.agent.call_model,
            self.catalog.read_catalog,
            self.claims.collect_claims,
            self.claims.group_claims,
            self.content.keep_text,
            self.documents.extract_text,
            self.gate_terms.gate_terms,
            self.gate_terms.check_identity,
            self.notices.tell_people,
            self.route_picks.check_picks,
            self.search.search,
            self.search.number_findings,
            self.search.check_citations,
            self.tools.read_toolset,
            self.tools.call_tool,
            self.trained_router.label_request,
            self.transcripts.append_messages,
            self.undoing.undo_call,
        ]


def secret_of(settings: Settings) -> str:
    """Return the secret that decisions are signed with, or "" where whoever says who they are is believed."""
    return settings.approver_secret.get_secret_value() if settings.approver_secret else ""


def tools_of(settings: Settings, store: ContentStore) -> list[Tool]:
    """Return the standard tools that the settings switch on."""
    return standard_tools(
        store,
        settings.workspace,
        fetch_allow=settings.fetch_allow,
        fetch_private=settings.fetch_private,
        database_url=settings.database_url.get_secret_value() if settings.database_url else "",
        database_write_tables=settings.database_write_tables,
        http_call_allow=settings.http_call_allow,
        http_call_private=settings.http_call_private,
        smtp_url=settings.smtp_url.get_secret_value() if settings.smtp_url else "",
        mail_from=settings.mail_from,
        max_document_bytes=settings.max_document_bytes,
    )


def _source_options(settings: Settings) -> SourceOptions:
    return SourceOptions(
        library_dir=settings.library_dir,
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
