"""The worker process of this application: python worker.py --help."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.search.contracts import SourceKind
from activities.search.feature import Search
from activities.search.sources.base import Source
from outlast.client import Settings
from outlast.command_line import CommandLine, use_command_line
from outlast.llm.base import LLM
from outlast.worker.running import run_worker
from outlast.worker.serving import running_worker
from workflows.agent_session import AgentSessionWorkflow
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.document_analysis import DocumentAnalysisWorkflow
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow
from workflows.staged_delivery import StagedDeliveryWorkflow

WORKFLOWS: Sequence[type] = (
    AgentSessionWorkflow,
    ConsensusAnalysisWorkflow,
    DocumentAnalysisWorkflow,
    ParallelResearchWorkflow,
    PlanAndExecuteWorkflow,
    RequestHandlingWorkflow,
    StagedDeliveryWorkflow,
)

SHARED = ("activities", "workflows.contracts", "workflows.sourcing")
"""Modules without state that the workflow sandbox need not import anew for each run."""


def working(
    client: Client, settings: Settings, llm: LLM, sources: Mapping[SourceKind, Source] | None = None, **options: Any
) -> AbstractAsyncContextManager[Worker]:
    """Work within this process, for tests and benchmarks; `sources` are searched in the place of those of the settings."""
    options = {"workflows": WORKFLOWS, **options}
    return running_worker(client, settings=settings, llm=llm, features=[Search(sources)], **options)


if __name__ == "__main__":
    use_command_line(CommandLine("python starter.py"))
    run_worker(workflows=WORKFLOWS, features=[Search()], shared=SHARED)
