"""Runs parallel research with workers as the product builds them: one for the task queue, one for the polite queue."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.agent import AgentActivities
from activities.catalog import CatalogActivities
from activities.content import ContentActivities
from activities.contracts import SourceKind
from activities.llm.base import ModelCall
from activities.llm.scripted import Script, ScriptedLLM
from activities.search import SearchActivities
from activities.sources.base import Answered, Hit, Source
from tests.workflow.conftest import Runner
from worker import POLICED
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.policies import polite_queue

ID = re.compile(r"^\[([A-Z]\d+)\]", re.MULTILINE)


@dataclass
class Given:
    """A source that gives what a test wants, after `seconds`; `error` builds what it raises instead."""

    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: Callable[[], Exception] | None = None
    asked: list[str] = field(default_factory=list)
    fingerprint: str | None = None

    async def search(self, query: str, limit: int) -> Answered:
        self.asked.append(query)
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error()
        return Answered(self.hits[:limit], self.notes)


def hit(title: str) -> Hit:
    """Build a hit with an address of its own."""
    return Hit(title, f"https://{title.lower().replace(' ', '-')}.example/", "2026-03-01", f"All about {title}.")


def said(call: ModelCall) -> str:
    """Return all that an agent was told."""
    return "\n".join(text for _, text in call.messages)


def is_synthesis(call: ModelCall) -> bool:
    """Tell the synthesiser's call from a reader's."""
    return call.system.startswith("You join the notes")


def citing(call: ModelCall) -> str:
    """Cite every finding as a reader, and every note as a synthesiser."""
    if is_synthesis(call):
        cited = re.findall(r"[A-Z]\d+ matters \[[A-Z]\d+\]", said(call))
        return "Answer: " + ", ".join(cited) + "."
    return "\n".join(f"{name} matters [{name}]." for name in ID.findall(said(call)))


@asynccontextmanager
async def researching(
    runner: Runner, script: Script, sources: Mapping[SourceKind, Source]
) -> AsyncIterator[ScriptedLLM]:
    """Run both workers on one set of sources."""
    llm = ScriptedLLM(script)
    models = runner.settings.model_table()
    agents = AgentActivities(llm, runner.store, models)
    catalog = CatalogActivities(runner.settings.agents_dir, runner.store, models, runner.settings.heartbeat_timeout)
    search = SearchActivities(runner.store, sources)
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*POLICED)
    queue = runner.settings.task_queue
    general = Worker(
        runner.env.client,
        task_queue=queue,
        workflows=[ParallelResearchWorkflow],
        activities=[
            agents.call_model,
            catalog.read_catalog,
            ContentActivities(runner.store).keep_text,
            search.search,
            search.check_citations,
        ],
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    )
    polite = Worker(
        runner.env.client, task_queue=polite_queue(queue), activities=[search.search], max_concurrent_activities=1
    )
    async with general, polite:
        yield llm
