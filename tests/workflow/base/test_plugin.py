"""Agents in a worker of somebody else's: three lines, beside their own workflows, converter and plugins."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, Plugin
from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultPayloadConverter, PayloadCodec
from temporalio.exceptions import ActivityError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker, WorkerConfig, WorkerTuner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from outlast.agents.sessions import AgentSessionRequest, AgentSessionResult
from outlast.client import SettingsError
from outlast.contracts import Effect
from outlast.llm.scripted import ScriptedLLM
from outlast.plugin import OutlastPlugin
from outlast.settings import Settings
from outlast.testing import call_tool, scripted
from outlast.tools.tool import tool
from outlast.worker.arguments import WorkerArgumentError
from outlast.worker.crash_notes import FOLDER, CrashNotes
from outlast.worker.registry import Registry
from outlast.worker.task_order import TaskOrderRunner
from outlast.workflow.policies import spaced_queue
from workflows.agent_session import AgentSessionWorkflow

CALLED = "Ann was called."
SESSION = AgentSessionRequest(agent="pager", task="Call somebody.")
FREE = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules("tests", "workflows"))
"""What a program of theirs would share: modules of its own."""


class Page(BaseModel):
    name: str
    urgent: bool = False


pages: list[Page] = []


@tool(effect=Effect.READ)
def page_oncall(page: Page) -> str:
    """Call whoever is on duty."""
    pages.append(page)
    return "called"


@dataclass
class Greeting:
    salutation: str
    name: str


@activity.defn
def compose_greeting(greeting: Greeting) -> str:
    """The activity of Temporal's hello-world sample, a plain function."""
    return f"{greeting.salutation}, {greeting.name}!"


@activity.defn
async def read_slowly(name: str) -> str:
    """An activity of a service that wants its requests spaced."""
    return f"{name} on {activity.info().task_queue}"


class Slowly:
    """What brings it."""

    def activities(self, registry: Registry) -> list[Any]:
        return []

    def one_by_one(self, registry: Registry) -> list[Any]:
        return [read_slowly]


@activity.defn
async def failing(page: Page) -> None:
    raise ValueError(page.model_dump_json())


@workflow.defn
class GreetingWorkflow:
    """The workflow of Temporal's hello-world sample, which can also ask a service that wants its requests spaced."""

    @workflow.run
    async def run(self, name: str) -> str:
        if name == "slowly":
            queue = spaced_queue(workflow.info().task_queue)
            return await workflow.execute_activity(
                read_slowly, name, task_queue=queue, start_to_close_timeout=timedelta(seconds=10)
            )
        return await workflow.execute_activity(
            compose_greeting, Greeting("Hello", name), start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn
class PagingWorkflow:
    """A workflow of theirs with a pydantic model, whose activity fails with an exception of their own."""

    @workflow.run
    async def run(self, page: Page) -> Page:
        try:
            await workflow.execute_activity(failing, page, schedule_to_close_timeout=timedelta(seconds=0.5))
        except ActivityError:
            page = page.model_copy(update={"name": page.name * 2})
        return page


def model() -> ScriptedLLM:
    return scripted([call_tool("page_oncall", name="Ann"), CALLED])


@dataclass
class Theirs:
    """A worker of theirs and the client that they connected."""

    client: Client
    queue: str

    async def run(self, work: Any, argument: Any) -> Any:
        return await self.client.execute_workflow(work, argument, id=uuid4().hex, task_queue=self.queue)

    async def session(self) -> str | None:
        result: AgentSessionResult = await self.run(AgentSessionWorkflow.run, SESSION)
        assert result.answer is not None
        return result.answer.text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "pager.md").write_text("---\nname: pager\ndescription: d\ntools: page_oncall\n---\nYou call people.\n")
    return agents


@asynccontextmanager
async def theirs(
    env: WorkflowEnvironment,
    plugins: Sequence[Plugin],
    *,
    converter: DataConverter = DataConverter.default,
    **options: Any,
) -> AsyncIterator[Theirs]:
    client = await Client.connect(
        env.client.service_client.config.target_host, plugins=plugins, data_converter=converter
    )
    queue = uuid4().hex
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[GreetingWorkflow, PagingWorkflow, AgentSessionWorkflow],
        activities=[compose_greeting, failing],
        activity_executor=ThreadPoolExecutor(5),
        workflow_runner=FREE,
        max_concurrent_activities=5,
        **options,
    )
    async with worker:
        yield Theirs(client, queue)


async def test_agents_work_in_a_plain_worker_beside_its_own_workflows(
    env: WorkflowEnvironment, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: set[str] = set()
    begin = CrashNotes.begin

    def noting(notes: CrashNotes, token: bytes, run: tuple[str, str]) -> None:
        noted.add(run[0])
        begin(notes, token, run)

    monkeypatch.setattr(CrashNotes, "begin", noting)
    llm = model()
    plugin = OutlastPlugin(tools=[page_oncall], features=[Slowly()], agents_dir=folder, settings=settings, llm=llm)
    async with theirs(env, [plugin]) as worker:
        greeting, session = await asyncio.gather(worker.run(GreetingWorkflow.run, "Temporal"), worker.session())
        assert (greeting, session) == ("Hello, Temporal!", CALLED)
        assert pages.pop() == Page(name="Ann")
        assert [each.agent for each in llm.calls] == ["pager", "pager"]
        assert await worker.run(GreetingWorkflow.run, "slowly") == f"slowly on {spaced_queue(worker.queue)}"
        assert len(noted) == 2, "our activities, the spaced one among them, and none of theirs"
    assert list((settings.state_dir / FOLDER).iterdir()) == [], "nothing is left for the next worker to hand back"


async def test_what_is_theirs_stays_as_it_was(env: WorkflowEnvironment, settings: Settings) -> None:
    """Its defaults are written, it may be larger than our messages, and it fails as it failed."""
    async with theirs(env, [OutlastPlugin(settings=settings, llm=model())]) as worker:
        assert await worker.run(PagingWorkflow.run, Page(name="Bo")) == Page(name="BoBo")
        assert len(await worker.run(GreetingWorkflow.run, "x" * (settings.payload_limit_bytes + 1))) > 500_000
        events = await history_of(worker, PagingWorkflow.run, Page(name="Bo"))
        written = json.loads(events[0].workflow_execution_started_event_attributes.input.payloads[0].data)
        assert written == {"name": "Bo", "urgent": False}


async def test_how_a_worker_is_set_stays_where_they_set_it(env: WorkflowEnvironment, settings: Settings) -> None:
    """Slots are kept but come by way of the measured lag, unless there is a tuner; running calls may finish when it stops."""
    plugin = OutlastPlugin(settings=settings, llm=model())
    client = await Client.connect(env.client.service_client.config.target_host, plugins=[plugin])
    given = WorkerConfig(client=client, task_queue="q", workflow_runner=FREE, max_concurrent_activities=3)
    given["unsandboxed_workflow_runner"] = UnsandboxedWorkflowRunner()
    config = plugin.configure_worker(given.copy())
    assert config["tuner"] is not None
    assert cast(SandboxedWorkflowRunner, config["workflow_runner"]).runner_class is TaskOrderRunner
    assert isinstance(config["unsandboxed_workflow_runner"], TaskOrderRunner)
    assert (config["max_concurrent_activities"], config["graceful_shutdown_timeout"]) == (None, timedelta(seconds=1))
    tuner = WorkerTuner.create_fixed(activity_slots=3)
    config = plugin.configure_worker({**given, "tuner": tuner, "graceful_shutdown_timeout": timedelta(seconds=7)})
    assert (config["tuner"], config["graceful_shutdown_timeout"]) == (tuner, timedelta(seconds=7))


async def history_of(worker: Theirs, work: Any, argument: Any) -> Any:
    handle = await worker.client.start_workflow(work, argument, id=uuid4().hex, task_queue=worker.queue)
    await handle.result()
    return (await handle.fetch_history()).events


async def test_the_official_plugin_for_traces_works_beside_it(
    env: WorkflowEnvironment, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), create_tracer_provider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    monkeypatch.setattr(
        trace, "_TRACER_PROVIDER", provider
    )  # a provider cannot be replaced otherwise, nor taken away again
    plugin = OutlastPlugin(tools=[page_oncall], agents_dir=folder, settings=settings, llm=model())
    async with theirs(env, [OpenTelemetryPlugin(add_temporal_spans=True), plugin]) as worker:
        assert await worker.session() == CALLED
    provider.force_flush()
    names = {span.name for span in exporter.get_finished_spans()}
    provider.shutdown()
    assert {"RunWorkflow:AgentSessionWorkflow", "RunActivity:call_model", "RunActivity:call_tool"} <= names


async def test_its_runs_replay_with_the_same_plugin_and_nothing_else(
    env: WorkflowEnvironment, settings: Settings, folder: Path
) -> None:
    plugin = OutlastPlugin(tools=[page_oncall], agents_dir=folder, settings=settings, llm=model())
    async with theirs(env, [plugin]) as worker:
        handle = await worker.client.start_workflow(
            AgentSessionWorkflow.run,
            SESSION,
            id=uuid4().hex,
            task_queue=worker.queue,
        )
        await handle.result()
        history = await handle.fetch_history()
    replayer = Replayer(workflows=[AgentSessionWorkflow], plugins=[plugin], workflow_runner=FREE)
    await replayer.replay_workflow(history)


class Turning(PayloadCodec):
    """A codec of theirs."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"turned"}, data=each.SerializeToString()[::-1]) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(each.data[::-1]) for each in payloads]


async def test_a_codec_of_theirs_is_kept(env: WorkflowEnvironment, settings: Settings, folder: Path) -> None:
    plugin = OutlastPlugin(tools=[page_oncall], agents_dir=folder, settings=settings, llm=model())
    converter = replace(pydantic_data_converter, payload_codec=Turning())
    async with theirs(env, [plugin], converter=converter) as worker:
        assert await worker.session() == CALLED
        events = await history_of(worker, GreetingWorkflow.run, "Bo")
    assert events[0].workflow_execution_started_event_attributes.input.payloads[0].metadata["encoding"] == b"turned"


class OwnPayloadConverter(DefaultPayloadConverter):
    pass


@pytest.mark.parametrize(
    ("converter", "keys", "message"),
    [
        (
            replace(DataConverter.default, payload_converter_class=OwnPayloadConverter),
            None,
            "data_converter: .* payload_converter_class=OwnPayloadConverter. Connect a second client",
        ),
        (
            replace(pydantic_data_converter, payload_codec=Turning()),
            "k:" + "A" * 43 + "=",
            "data_converter: it has a payload codec, and PAYLOAD_KEYS is set",
        ),
    ],
)
async def test_a_converter_that_cannot_be_extended_is_refused(
    env: WorkflowEnvironment, settings: Settings, converter: DataConverter, keys: str | None, message: str
) -> None:
    own = Settings(state_dir=settings.state_dir, payload_keys=keys, _env_file=None)
    plugin = OutlastPlugin(settings=own, llm=model())
    with pytest.raises(SettingsError, match=message):
        await Client.connect(env.client.service_client.config.target_host, plugins=[plugin], data_converter=converter)


async def test_a_worker_says_what_is_wrong_before_it_starts(env: WorkflowEnvironment, settings: Settings) -> None:
    target = env.client.service_client.config.target_host

    @activity.defn(name="call_model")
    async def mine() -> None: ...

    plain, plugin = await Client.connect(target), OutlastPlugin(settings=settings, llm=model())
    with pytest.raises(WorkerArgumentError, match=r"plugins: .*Client\.connect\(…, plugins=\[OutlastPlugin"):
        Worker(plain, task_queue="q", workflows=[GreetingWorkflow], plugins=[plugin], workflow_runner=FREE)
    client = await Client.connect(target, plugins=[plugin])
    with pytest.raises(WorkerArgumentError, match="activities: 'call_model' is an activity of outlast"):
        Worker(client, task_queue="q", activities=[mine])
    keyless = await Client.connect(target, plugins=[OutlastPlugin(settings=settings)])
    with pytest.raises(SettingsError, match="no model answers: neither ANTHROPIC_API_KEY"):
        Worker(keyless, task_queue="q", workflows=[GreetingWorkflow], workflow_runner=FREE)
