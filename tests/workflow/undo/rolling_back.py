"""What tests of rollback work with: tools that fail or wait when told to, and scripts of agents that change files."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowFailureError, WorkflowHandle

from outlast.contracts import Changes, ChangeState, Effect, StopReason, Usage
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from outlast.tools.tool import Tool, tool
from outlast.worker import registry as rooms
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import calls
from workflows.agent_session import AgentSessionWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

SESSION, PLAN = AgentSessionWorkflow.run, PlanAndExecuteWorkflow.run
WRITES = calls(("write_file", {"path": "a.md", "content": "new"}), turn=1)
EDITS = calls(
    ("edit_file", {"path": "a.md", "old": "new", "new": "newer"}),
    ("write_file", {"path": "b.md", "content": "B"}),
    turn=2,
)
REFUSAL = ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), "m")
U, D, F, N = ChangeState.UNDONE, ChangeState.DONE, ChangeState.UNDO_FAILED, ChangeState.NOT_HAPPENED
Wrap = Callable[[Tool, BaseModel, Callable[[], Awaitable[str]]], Awaitable[str]]


class Nothing(BaseModel):
    pass


@tool(effect=Effect.IRREVERSIBLE)
def ring_bell(arguments: Nothing) -> str:
    """Ring the bell."""
    return "rung"


class Words(BaseModel):
    text: str


@tool(effect=Effect.IRREVERSIBLE)
def shout(arguments: Words) -> str:
    """Shout something: nobody can unhear it."""
    return f"shouted {arguments.text}"


@dataclass
class Bench:
    """A runner whose tools can be made to fail or wait, and that writes down what they do."""

    runner: Runner
    monkeypatch: pytest.MonkeyPatch
    did: list[str] = field(default_factory=list)
    around: Wrap | None = None

    def __post_init__(self) -> None:
        real = rooms.tools_of
        self.monkeypatch.setattr(
            rooms, "tools_of", lambda *given: [self._wrapped(each) for each in [*real(*given), ring_bell, shout]]
        )
        self.runner.settings.workspace.mkdir(parents=True, exist_ok=True)
        (self.runner.settings.workspace / "a.md").write_text("old")

    def _wrapped(self, inner: Tool) -> Tool:
        async def call(arguments: BaseModel, key: str) -> str:
            async def run() -> str:
                said = await inner.run(arguments, key)
                self.did.append(f"{inner.name} {getattr(arguments, 'path', '')}".strip())
                return said

            return await (self.around(inner, arguments, run) if self.around else run())

        return replace(inner, call=call, keyed=True)

    @property
    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.runner.settings.workspace.glob("*.md")}

    @property
    def undone(self) -> list[str]:
        return [line.removeprefix("restore_file ") for line in self.did if line.startswith("restore_file")]

    async def fails(self, handle: "WorkflowHandle[Any, Any]") -> BaseException:
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert caught.value.cause is not None
        return caught.value.cause


@pytest.fixture
def bench(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(runner, monkeypatch)


async def changes_of(handle: "WorkflowHandle[Any, Any]") -> Changes:
    return await handle.query(AgentSessionWorkflow.changes)


def states(changes: Changes) -> list[ChangeState]:
    return [change.state for change in changes.changes]


def then_holding(asked: asyncio.Event, *replies: ModelReply | str) -> Script:
    async def hold() -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    def script(call: ModelCall) -> Any:
        turn: int = sum(message["role"] == "assistant" for message in call.history)
        return replies[turn] if turn < len(replies) else hold()

    return script
