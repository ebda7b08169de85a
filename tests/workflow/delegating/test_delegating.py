"""Agents that ask agents: side by side, within bounds, one budget, gates, undo, cancelling, forks; and hand-offs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.agents.delegation.contracts import Settled
from outlast.agents.sessions import AgentSessionRequest
from outlast.budget.lending import LEAST
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    ChangeState,
    DelegationLimits,
    Plan,
    PlanRequest,
    PlanStep,
    RunState,
    RunStatus,
    StepState,
)
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.base.test_agent_session import calls, results
from tests.workflow.conftest import Runner, with_agents
from workflows.agent_session import AgentSessionWorkflow

SESSION = AgentSessionWorkflow.run
FILES = "tools: [Write, Read]"
CREW = {"lead": "agents: [clerk, thinker]", "clerk": FILES, "thinker": "model: opus"}


def who(call: ModelCall) -> str:
    return call.system.removeprefix("You are ").removesuffix(".")


def turn(call: ModelCall) -> int:
    return sum(message["role"] == "assistant" for message in call.history)


def asks(*tasks: tuple[str, str], at: int = 0) -> ModelReply:
    return calls(*((f"ask_{agent}", {"task": text}) for agent, text in tasks), turn=at)


def writes(name: str, at: int = 5) -> ModelReply:
    return calls(("write_file", {"path": f"{name}.md", "content": name}), turn=at)


def crew(first: ModelReply, clerk: Any = None, *more: Any) -> Any:
    """Let the lead ask, and then say what it was answered; a clerk writes a file named by its task."""

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            said = [block["content"] for block in results(call)]
            replies = (first, *more, " | ".join(map(str, said)))
            return replies[turn(call)]
        if who(call) == "clerk":
            if clerk is not None:
                return clerk(call)
            name = str(call.messages[0][1]).split()[-1] if not call.history else "x"
            return writes(name) if turn(call) == 0 else "written"
        return f"{who(call)} thinks"

    return script


def session(**fields: Any) -> AgentSessionRequest:
    return AgentSessionRequest(agent="lead", task="Lead", **fields)


def ours(runner: Runner, tmp_path: Path, agents: Any = None) -> Runner:
    return with_agents(runner, tmp_path / "agents", agents or CREW)


async def test_agents_are_asked_side_by_side_and_one_with_tools_works_in_a_run_of_its_own(
    runner: Runner, tmp_path: Path
) -> None:
    crewed = ours(runner, tmp_path)
    script = crew(asks(("clerk", "one"), ("thinker", "why"), ("clerk", "two")))
    async with crewed.worker(script) as llm:
        handle = await crewed.start(SESSION, session())
        result = await handle.result()
        status: RunStatus = await handle.query(AgentSessionWorkflow.status)
        history = await handle.fetch_history()
    assert result.state is RunState.COMPLETED
    assert result.answer.text == "written | thinker thinks | written"
    assert sorted(path.name for path in crewed.settings.workspace.iterdir()) == ["one.md", "two.md"]
    rows = {row.step: row for row in status.steps}
    assert list(rows) == ["session", "session/clerk", "session/thinker", "session/clerk#2"]
    assert {row.within for row in list(rows.values())[1:]} == {"session"}
    assert [bool(row.run) for row in rows.values()] == [False, True, False, True]
    assert {row.state for row in rows.values()} == {StepState.DONE}
    assert result.spend.calls == len(llm.calls) == 7
    assert [tool.name for tool in llm.calls[0].tools] == ["ask_clerk", "ask_thinker"]
    kinds = [event.WhichOneof("attributes") for event in history.events]
    assert kinds.count("start_child_workflow_execution_initiated_event_attributes") == 2
    last = max(i for i, kind in enumerate(kinds) if kind == "child_workflow_execution_started_event_attributes")
    first = kinds.index("child_workflow_execution_completed_event_attributes")
    assert last < first, "one was waited for before the other began"
    changes = await handle.query(AgentSessionWorkflow.changes)
    assert [change.step for change in changes.changes] == ["session", "session"]
