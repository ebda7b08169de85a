"""`agent_environment`: a real Temporal server, all activities and a temporary content store, for one test."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import WorkflowRunner

from outlast.client import Settings, data_converter
from outlast.contracts import SEARCH_ATTRIBUTES, Content, GateView, RunState, RunStatus
from outlast.devstack.server import find_temporal
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore
from outlast.tools.tool import Tool
from outlast.worker.registry import Feature
from outlast.worker.serving import running_worker, sandbox

TEST_SERVER = "temporal-test-server"


class TestServerMissingError(Exception):
    """There is no time-skipping server; the message names ways to get one."""


class IsolatedSettings(Settings):
    """Settings that ignore the environment and `.env`, so that a test means the same on every machine."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's names
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **others: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what is given alone."""
        return (init_settings,)


@dataclass(frozen=True)
class AgentEnvironment:
    """What a test works with: the client, the scripted model, the settings, the content store, the SDK's environment."""

    client: Client
    llm: ScriptedLLM
    settings: Settings
    store: ContentStore
    environment: WorkflowEnvironment

    async def start(self, workflow: Callable[..., Any], request: Any, *, id: str = "") -> WorkflowHandle[Any, Any]:  # noqa: A002 - as the client has it
        """Start a run, with an id of its own if none is given."""
        return await self.client.start_workflow(
            workflow, request, id=id or f"test-{uuid4().hex[:8]}", task_queue=self.settings.task_queue
        )

    async def run(self, workflow: Callable[..., Any], request: Any, *, id: str = "") -> Any:  # noqa: A002 - as the client has it
        """Start a run and wait for its result."""
        return await (await self.start(workflow, request, id=id)).result()

    async def gate(self, run: WorkflowHandle[Any, Any], *, name: str = "", seconds: float = 30.0) -> GateView:
        """Wait until a run waits for people at a gate, and return it.

        Args:
            run: The handle of the run.
            name: The gate, such as `gate-2`; by default the first that waits.
            seconds: How long to wait for it; the time of the server stands still meanwhile.

        Raises:
            AssertionError: No such gate has opened in that time, or the run has ended.

        Example:
            ```python
            gate = await env.gate(run)
            await run.signal("approve", {"by": "ada"})
            ```
        """
        what = f"{name or 'a gate'} of {run.id}"
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            status: RunStatus = await run.query("status", result_type=RunStatus)
            if found := next((gate for gate in status.gates if name in ("", gate.name)), None):
                return found
            if status.state != RunState.RUNNING:
                raise AssertionError(f"{what}: it never waited there; the run has ended ({status.state})")
            await asyncio.sleep(0.02)
        raise AssertionError(f"{what}: it did not wait there within {seconds:g} s")

    async def text(self, content: Content | None) -> str:
        """Return the whole text behind a content; raises ValueError where there is none."""
        if content is None:
            raise ValueError("there is no content here: None")
        return await self.store.text(content)


@asynccontextmanager
async def agent_environment(
    *,
    workflows: Sequence[type],
    llm: ScriptedLLM,
    tools: Sequence[Tool] = (),
    activities: Sequence[Callable[..., Any]] = (),
    features: Sequence[Feature] = (),
    agents_dir: str | Path | None = None,
    time_skipping: bool = True,
    workflow_runner: WorkflowRunner | None = None,
    **settings: Any,
) -> AsyncIterator[AgentEnvironment]:
    """Run a Temporal server and a worker with all activities while the block runs; everything they write is temporary.

    Workflow code always runs in the sandbox here, whatever WORKFLOW_SANDBOX says elsewhere.

    Args:
        workflows: Workflow classes.
        llm: The model, made by `scripted`.
        tools: Functions with `@tool`, beside the standard tools.
        activities: Functions or bound methods with `@activity.defn`.
        features: What brings activities that need the settings or the content store.
        agents_dir: The folder of the agents' files. Default: `agents`.
        time_skipping: Whether timers take no time (gates, deadlines, pauses). The server of the Temporal CLI takes its place
            otherwise: it has search attributes and lists of runs, and a call may be cancelled there while it runs.
        workflow_runner: A sandbox of one's own.
        settings: Fields of `outlast.settings.Settings`; the environment is not read.

    Raises:
        WorkerArgumentError: An argument is wrong; the message names it and the fix.
        TestServerMissingError, TemporalMissingError: The server's binary is not installed.

    Example:
        ```python
        async with agent_environment(workflows=[Triage], llm=scripted("All is well."), agents_dir="agents") as env:
            result = await env.run(Triage.run, TriageRequest(alert="disk full"))
        ```
    """
    with TemporaryDirectory(prefix="outlast-test-") as directory:
        # With an address, agents have the models that their files name, with prices and windows; nothing is ever sent there.
        defaults = {"anthropic_base_url": "http://localhost:9", "state_dir": Path(directory), "shutdown_grace": 1.0}
        own = IsolatedSettings(**{**defaults, **settings})
        async with (
            await _server(own, time_skipping=time_skipping) as environment,
            running_worker(
                environment.client,
                workflows=workflows,
                tools=tools,
                activities=activities,
                features=features,
                agents_dir=agents_dir,
                settings=own,
                llm=llm,
                workflow_runner=workflow_runner or sandbox(),
            ),
        ):
            yield AgentEnvironment(
                environment.client, llm, own, ContentStore.open(own.store_url, seal=own.seal()), environment
            )


async def _server(settings: Settings, *, time_skipping: bool) -> WorkflowEnvironment:
    converter = data_converter(settings.payload_limit_bytes, settings.payload_keys)
    if time_skipping:
        return await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=_test_server(), data_converter=converter
        )
    flags = [flag for name, kind in SEARCH_ATTRIBUTES.items() for flag in ("--search-attribute", f"{name}={kind}")]
    return await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal()), data_converter=converter, dev_server_extra_args=flags
    )


def _test_server() -> str:
    beside = Path(sys.executable).with_name(TEST_SERVER)
    found = str(beside) if beside.exists() else shutil.which(TEST_SERVER)
    if found is None:
        raise TestServerMissingError(
            f"there is no {TEST_SERVER!r} on PATH, and none beside this Python; install it with "
            f"'{sys.executable} -m pip install \"outlast[testing]\"', or pass time_skipping=False"
        )
    return found
