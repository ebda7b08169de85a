"""Runs real workflows with the real activity classes; only the model is scripted."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

import worker
from activities.search.contracts import SourceKind
from activities.search.sources.base import Source
from outlast.client import Settings, data_converter
from outlast.contracts import Content
from outlast.llm.scripted import Script, ScriptedLLM
from outlast.storage.activities import ContentStore
from outlast.tools.tool import Tool
from samples.refund.workflow import RefundWorkflow
from tests.policed import policed
from tests.processes import dev_server


@dataclass
class Runner:
    """Starts workflows against one scripted worker."""

    env: WorkflowEnvironment
    settings: Settings
    store: ContentStore

    @asynccontextmanager
    async def worker(
        self,
        script: Script,
        sources: Mapping[SourceKind, Source] | None = None,
        tools: Sequence[Tool] = (),
        workflows: Sequence[type] = (),
    ) -> AsyncIterator[ScriptedLLM]:
        llm = ScriptedLLM(script)
        served = (*worker.WORKFLOWS, RefundWorkflow, *workflows)
        async with worker.working(
            self.env.client,
            self.settings,
            llm,
            sources=sources,
            workflows=served,
            tools=tools,
            workflow_runner=policed(),
        ):
            yield llm

    async def start(self, workflow: Callable[..., Any], request: Any) -> WorkflowHandle[Any, Any]:
        return await self.env.client.start_workflow(
            workflow, request, id=f"test-{uuid4().hex[:8]}", task_queue=self.settings.task_queue
        )

    async def run(self, script: Script, workflow: Callable[..., Any], request: Any) -> tuple[Any, ScriptedLLM]:
        async with self.worker(script) as llm:
            handle = await self.start(workflow, request)
            return await handle.result(), llm

    async def text(self, content: Content | None) -> str:
        assert content is not None
        return await self.store.text(content)


def with_agents(runner: Runner, directory: Path, agents: Mapping[str, str]) -> Runner:
    """Give the runner agents of its own: names, and the rest of their front matter."""
    directory.mkdir()
    for name, fields in agents.items():
        (directory / f"{name}.md").write_text(f"---\nname: {name}\ndescription: d\n{fields}\n---\nYou are {name}.\n")
    return Runner(runner.env, runner.settings.model_copy(update={"agents_dir": directory}), runner.store)


@pytest.fixture
def runner(env: WorkflowEnvironment, settings: Settings, store: ContentStore) -> Runner:
    return Runner(env, settings, store)


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server, shared by the tests of this process: each has a task queue of its own."""
    with dev_server(tmp_path_factory.mktemp("real_server")) as server:
        yield server.address


@pytest.fixture
async def real_runner(real_server: str, settings: Settings, store: ContentStore) -> Runner:
    """A runner on the real server, where time does not skip: for whoever is cancelled in the middle of a call.

    The time-skipping one can hang where a call ends while the task that cancels it is under way: that task never ends there.
    """
    client = await Client.connect(real_server, data_converter=data_converter(settings.payload_limit_bytes))
    own = settings.model_copy(update={"task_queue": f"test-{uuid4().hex[:8]}"})
    return Runner(WorkflowEnvironment.from_client(client), own, store)
