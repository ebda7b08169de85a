"""arXiv's three seconds between requests hold across workers on a real server, and searches wait in a queue of their own."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path

from pytest_httpserver import HTTPServer
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from werkzeug import Request, Response

from activities.search.activities import SearchActivities
from activities.search.contracts import SourceKind
from activities.search.sources.arxiv import SECONDS_BETWEEN
from activities.search.sources.configured import SourceOptions, configured_sources
from outlast.agents.catalog_activities import CatalogActivities
from outlast.agents.files import DEFAULTS
from outlast.client import Settings, data_converter
from outlast.llm.activities import AgentActivities
from outlast.llm.scripted import ScriptedLLM
from outlast.plugin import PASSED_THROUGH
from outlast.storage.activities import ContentActivities, ContentStore
from outlast.workflow.policies import spaced_queue
from tests.processes import PROJECT, DevServer, dev_server
from workflows.contracts.research import ResearchRequest, ResearchResult, SourcePlan
from workflows.parallel_research import ParallelResearchWorkflow

ARXIV = (PROJECT / "samples" / "feeds" / "arxiv.xml").read_bytes()
RUN = ParallelResearchWorkflow.run
QUEUE = "agents"


async def test_three_searches_on_two_workers_start_seconds_apart(tmp_path: Path, httpserver: HTTPServer) -> None:
    asked: list[float] = []

    def answer(_: Request) -> Response:
        asked.append(time.monotonic())
        return Response(ARXIV)

    httpserver.expect_request("/api/query").respond_with_handler(answer)
    with dev_server(tmp_path) as server:
        results = await _research(server, tmp_path, httpserver.url_for("/api/query"))
    assert [len(result.cited) for result in results] == [1, 1, 1]
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert len(gaps) == 2
    # From turn to turn; the way to the server takes a little time, too.
    assert all(gap >= SECONDS_BETWEEN * 0.85 for gap in gaps), gaps


async def _research(server: DevServer, directory: Path, url: str) -> list[ResearchResult]:
    """Run three researches at once, with two workers on the polite queue."""
    settings = Settings(state_dir=directory, heartbeat_timeout=15, _env_file=None)
    # Two workers of one queue need two clients, as they have in two processes.
    converter = data_converter(settings.payload_limit_bytes)
    client, other = [await Client.connect(server.address, data_converter=converter) for _ in range(2)]
    store = ContentStore.open(settings.store_url)
    models = settings.model_table()

    def search() -> SearchActivities:
        options = SourceOptions(directory, directory, 1_000_000, arxiv_url=url)
        return SearchActivities(ContentStore.open(settings.store_url), configured_sources(options, store))

    general = Worker(
        client,
        task_queue=QUEUE,
        workflows=[ParallelResearchWorkflow],
        activities=[
            AgentActivities(ScriptedLLM(lambda call: "Warm [A1]."), store, models).call_model,
            CatalogActivities(settings.agents_dir, store, models, settings.heartbeat_timeout, DEFAULTS).read_catalog,
            ContentActivities(store).keep_text,
            search().check_citations,
        ],
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
        ),
    )
    first, second = (
        Worker(
            connected,
            task_queue=spaced_queue(QUEUE),
            activities=[search().search],
            max_concurrent_activities=1,
        )
        for connected in (client, other)
    )
    async with general, first, second:
        runs = [
            client.execute_workflow(
                RUN,
                ResearchRequest(topic=f"heat pumps {number}", sources=(SourcePlan(source=SourceKind.ACADEMIC),)),
                id=f"polite-{number}",
                task_queue=QUEUE,
            )
            for number in range(3)
        ]
        return await asyncio.gather(*runs)
