"""Every activity of a worker, built from the settings and from what an application adds."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from outlast.activity.outages import Waits
from outlast.activity.rate_pauses import RatePauses
from outlast.agents.catalog_activities import CatalogActivities
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.agents.delegation.workflow import DelegatedAgentWorkflow
from outlast.agents.files import DEFAULTS
from outlast.agents.transcript_activities import TranscriptActivities
from outlast.approvals.identity_activities import GateTermsActivities
from outlast.client import Settings, SettingsError, learn_secrets, running_stack, web_ui_of
from outlast.consensus.activities import ClaimActivities
from outlast.documents.activities import DocumentActivities
from outlast.file_names import program_folder
from outlast.llm.activities import AgentActivities
from outlast.llm.base import LLM
from outlast.llm.endpoint import ClaudeWhenNeeded, Endpoint
from outlast.notices.activities import NoticeActivities
from outlast.notices.webhook_activities import WebhookActivities
from outlast.notices.webhooks import WebhookWorkflow
from outlast.private_files import private_folder
from outlast.routing.pick_activities import RoutePickActivities
from outlast.routing.trained_activities import TrainedRouterActivities
from outlast.storage.activities import ContentActivities, ContentStore, log_outage
from outlast.storage.outcome_activities import OutcomeActivities
from outlast.storage.packed_activities import PackedActivities
from outlast.storage.spool import Spool
from outlast.storage.wait_activities import StoreWaitActivities
from outlast.tools.activities import ToolActivities
from outlast.tools.mcp.servers import McpServers
from outlast.tools.standard import standard_tools
from outlast.tools.standard.workspace import check_apart
from outlast.tools.tool import Tool
from outlast.undo.activities import UndoActivities
from outlast.undo.workflow import RollbackWorkflow
from outlast.worker.arguments import check_activities, check_tools, not_undoable, unknown_gate_tools
from outlast.worker.telling import channels_of, slack_of

PARTS = (".ci", ".env", ".git", ".mcp.json", ".venv", "agents", "deploy", "locks")
"""Parts of the project that decide what it does, beside its packages."""

PACKAGES = Path(__file__).resolve().parents[2]
"""Where this library is imported from: a checkout, or the installed packages."""


class Feature(Protocol):
    """Activities of an application that need what the worker has: its settings, its content store.

    Activities that need nothing of the worker are simply given to it (`run_worker(activities=[…])`).

    Example:
        ```python
        class Invoices:
            def activities(self, registry: Registry) -> Sequence[Callable[..., Any]]:
                return [InvoiceActivities(registry.store, registry.settings.workspace).read_invoice]

            def one_by_one(self, registry: Registry) -> Sequence[Callable[..., Any]]:
                return []

        run_worker(workflows=[Invoicing], features=[Invoices()])
        ```
    """

    def activities(self, registry: "Registry") -> Sequence[Callable[..., Any]]:
        """Return the activities that the worker serves on its task queue."""
        ...

    def one_by_one(self, registry: "Registry") -> Sequence[Callable[..., Any]]:
        """Return activities that each worker process runs one at a time, because a service wants its requests spaced.

        They have a task queue of their own, `outlast.workflow.policies.spaced_queue(task_queue)`, so that calls which wait
        for their turn take no slot of the others. A workflow chooses it with `task_queue=…` where it calls the activity.
        """
        ...


_log = logging.getLogger(__name__)

OWN_WORKFLOWS: tuple[type, ...] = (RollbackWorkflow, WebhookWorkflow, DelegatedAgentWorkflow)
"""Workflows of ours that other runs need; every worker serves them."""


class Registry:
    """Every activity of one worker, built on one content store, one model table and one model client.

    Args:
        settings: What the environment decides.
        llm: What answers the agents.
        tools: Tools of the application, beside the standard ones.
        activities: Activities of the application, beside ours.
        features: What brings activities that need this registry.

    Raises:
        SettingsError: A setting is wrong; the message names it.
        WorkerArgumentError: A tool or an activity is wrong; the message names it.
    """

    def __init__(
        self,
        settings: Settings,
        llm: LLM,
        *,
        tools: Sequence[Tool] = (),
        activities: Sequence[Callable[..., Any]] = (),
        features: Sequence[Feature] = (),
    ) -> None:
        learn_secrets(settings)
        self.settings = settings
        try:
            with settings.store_named():
                private_folder(settings.state_dir)
                self.store = ContentStore.open(
                    settings.store_url,
                    settings.content_inline_bytes,
                    state_dir=settings.state_dir.resolve(),
                    waits=settings.store_wait,
                    on_outage=log_outage,
                    cache_bytes=settings.content_cache_bytes,
                    seal=settings.seal(),
                )
            self._servers = McpServers.read(settings.mcp_servers_file)
            standard = tools_of(settings, self.store)
            self._channels = channels_of(settings)
            self._slack = slack_of(settings, self.store)
        except (ValueError, OSError) as error:
            raise SettingsError(str(error)) from error
        check_tools(tools, standard)
        for why in not_undoable(tools):
            _log.warning(why)
        self.waits = Waits(settings.store_wait, settings.provider_wait, settings.fallback_after, settings.tool_wait)
        self.gate_terms = self._terms_of_gates([*standard, *tools])
        self.models = settings.model_table()
        spool = Spool(self.store, settings.state_dir.resolve())
        spool.clean()
        self.pauses = RatePauses(self.models.class_of)
        self.call_model = AgentActivities(llm, self.store, self.models, spool, self.pauses).call_model
        self.activities = [*self._standard([*standard, *tools], spool), *DelegateActivities().all]
        added = [*activities, *(each for feature in features for each in feature.activities(self))]
        check_activities(added, self.activities)
        self.activities += added
        self.one_by_one = [each for feature in features for each in feature.one_by_one(self)]

    def _terms_of_gates(self, tools: Sequence[Tool]) -> GateTermsActivities:
        """Build the activities that know how this deployment decides, and warn of what it says of tools that are not there."""
        policy = self.settings.gate_policy()
        for why in unknown_gate_tools(policy.tools, tools):
            _log.warning(why)
        return GateTermsActivities(
            secret_of(self.settings),
            channels=len(self._channels),
            webhooks=len(self.settings.webhook_urls),
            slack=self.settings.slack_bot_token is not None,
            inbox=self.settings.inbox_url,
            store=self.store,
            policy=policy,
        )

    def _standard(self, tools: Sequence[Tool], spool: Spool) -> list[Callable[..., Any]]:
        """Build the activities of the library."""
        settings, store, models = self.settings, self.store, self.models
        claims, calling = ClaimActivities(store), ToolActivities(store, tools, self._servers, spool)
        notices = NoticeActivities(
            self._channels, web_ui=partial(web_ui_of, settings), inbox_url=settings.inbox_url, store=store
        )
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
        webhooks = WebhookActivities(settings.webhook_urls, secret, private=settings.webhook_private)
        catalog = CatalogActivities(
            settings.agents_dir,
            store,
            models,
            settings.heartbeat_timeout,
            DEFAULTS,
            webhooks=len(settings.webhook_urls),
        )
        return [
            self.call_model,
            catalog.read_catalog,
            claims.collect_claims,
            claims.group_claims,
            ContentActivities(store).keep_text,
            (waits := StoreWaitActivities(store)).await_store,
            waits.no_op,
            PackedActivities(store).read_packed,
            DocumentActivities(store, settings.max_document_bytes).extract_text,
            self.gate_terms.gate_terms,
            self.gate_terms.check_identity,
            notices.tell_people,
            self._slack.post_to_slack,
            webhooks.deliver_webhook,
            OutcomeActivities(store).read_outcomes,
            RoutePickActivities(store).check_picks,
            calling.read_toolset,
            calling.call_tool,
            TrainedRouterActivities(store).label_request,
            TranscriptActivities(store).append_messages,
            UndoActivities(store, tools).undo_call,
        ]

    async def aclose(self) -> None:
        """End what the activities have started: the MCP servers."""
        await self._servers.aclose()


def model_client(settings: Settings) -> ClaudeWhenNeeded:
    """Build the client of Claude, of another endpoint, or of the local model of the running stack.

    Raises:
        SettingsError: There is neither a key nor an address, or one of them cannot be used.
    """
    base_url = settings.anthropic_base_url
    if settings.local:
        stack = running_stack(settings)
        if not stack or not stack.get("model_url"):
            raise SettingsError(
                "no model answers: neither ANTHROPIC_API_KEY nor ANTHROPIC_AUTH_TOKEN nor ANTHROPIC_BASE_URL is set, and "
                "no local model runs here. Set a key, set ANTHROPIC_BASE_URL to an endpoint that speaks the Messages API, "
                "or start the local model with 'outlast up'"
            )
        base_url = stack["model_url"]
    key, token = (
        secret.get_secret_value() if secret else None
        for secret in (settings.anthropic_api_key, settings.anthropic_auth_token)
    )
    try:
        endpoint = _cloud(settings) or Endpoint.of(key, base_url, settings.model_read_timeout, token)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    known_in = settings.state_dir.resolve() / "providers"
    return ClaudeWhenNeeded(endpoint, settings.retry_after_cap, settings.model_table().name_sent, known_in)


def _cloud(settings: Settings) -> Endpoint | None:
    timeout, bearer = settings.model_read_timeout, settings.aws_bearer_token_bedrock
    if settings.model_provider == "bedrock":
        token = bearer.get_secret_value() if bearer else None
        url = settings.anthropic_bedrock_base_url
        return Endpoint.in_cloud("bedrock", url, timeout, region=settings.aws_region, token=token)
    if settings.model_provider == "vertex":
        region, project = settings.cloud_ml_region, settings.anthropic_vertex_project_id
        return Endpoint.in_cloud("vertex", settings.anthropic_vertex_base_url, timeout, region=region, project=project)
    return None


def secret_of(settings: Settings) -> str:
    """Return the secret that decisions are signed with, or "" where decisions need no signature."""
    return settings.approver_secret.get_secret_value() if settings.approver_secret else ""


def tools_of(settings: Settings, store: ContentStore) -> list[Tool]:
    """Return the standard tools that the settings switch on; raises ValueError that names a wrong one."""
    usual = settings.state_dir.resolve() / "workspace"
    check_apart(settings.workspace, protected(settings), usual)
    return standard_tools(
        store,
        settings.workspace,
        fetch_allow=settings.fetch_allow,
        fetch_private=settings.fetch_private,
        database_url=settings.database_url.get_secret_value() if settings.database_url else "",
        database_write_tables=settings.database_write_tables,
        http_call_allow=settings.http_call_allow,
        http_call_private=settings.http_call_private,
        http_call_undo=settings.http_call_undo,
        smtp_url=settings.smtp_url.get_secret_value() if settings.smtp_url else "",
        mail_from=settings.mail_from,
        max_document_bytes=settings.max_document_bytes,
    )


def protected(settings: Settings) -> dict[str, Path]:
    """Return what agents must never change, by what it is: whatever decides what a worker does, and what it remembers.

    A place within the state directory is open to them: the default workspace.
    """
    places = {
        f"the project's own {path}": path
        for folder in {program_folder() or PACKAGES, Path.cwd(), PACKAGES}
        for path in sorted(folder.iterdir())
        if path.name in PARTS or path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    places |= {
        "the agents (AGENTS_DIR)": settings.agents_dir,
        "the model table (MODELS_FILE)": settings.models_file,
        "the settings": Path(".env"),
        "the MCP servers": settings.mcp_config or Path(".mcp.json"),
    }
    usual, state = settings.state_dir.resolve() / "workspace", settings.state_dir.resolve()
    if settings.workspace != usual and usual not in settings.workspace.parents:
        places["the state directory (STATE_DIR)"] = state
    if settings.store_url.startswith("file://"):
        places["the content store (CONTENT_STORE_URL)"] = Path(unquote(urlsplit(settings.store_url).path))
    return places
