"""What a path is: one way that a workflow can take, to be recorded once and replayed for ever."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.client import WorkflowHandle

from activities.search.contracts import SourceKind
from activities.search.sources.base import Source
from outlast.llm.scripted import Script, ScriptedLLM
from outlast.tools.tool import Tool
from tests.workflow.conftest import Runner, with_agents


@dataclass(frozen=True)
class Path:
    """One path: the workflow, its request (made when the content store is there), the model's script.

    `local` runs it with the local model's row of the table: a small window, and cut-off answers are not continued.
    `agents` (name to front matter) are agents of its own instead of the project's. `sources` are what is searched; without
    them a source would reach the network, and nobody could record the path again. `answers` are what a person says, one after the
    other, once the run asks; `decisions` (name of the signal, and its input) once it waits at a gate; `people` is what they do
    beside that. `tools` are there beside the standard ones, `settings` change what the worker is set to.
    """

    workflow: Callable[..., Any]
    request: Callable[[Runner], Awaitable[Any]]
    script: Callable[[], Script]
    cancel: bool = False
    local: bool = True
    sources: Callable[[], Mapping[SourceKind, Source]] = dict
    agents: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[Any, ...] = ()
    people: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]] | None = None
    decisions: tuple[tuple[str, Any], ...] = ()
    tools: tuple[Tool, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def worker(self, runner: Runner) -> AsyncIterator[ScriptedLLM]:
        """Run the workers of this path."""
        ours = with_agents(runner, runner.settings.state_dir / "agents", self.agents) if self.agents else runner
        ours = replace(ours, settings=ours.settings.model_copy(update=dict(self.settings)))
        async with ours.worker(self.script(), self.sources(), tools=self.tools) as llm:
            yield llm
