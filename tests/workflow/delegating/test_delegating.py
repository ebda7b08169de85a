"""Agents that ask agents: side by side, within bounds, one budget, and gates that are seen above."""

from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from outlast.agents.delegation.contracts import DelegateRequest, Settled
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.agents.delegation.own_run import id_below
from outlast.contracts import (
    Budget,
    DelegationLimits,
    RunState,
    RunStatus,
    StepState,
)
from outlast.errors import ErrorKind
from outlast.llm.base import ModelCall
from tests.workflow.conftest import Runner
from tests.workflow.delegating.delegating import (
    SESSION,
    asks,
    ours,
    scripted,
    session,
    turn,
    who,
)
from tests.workflow.talking.test_agent_session import calls, results
from tests.workflow.undo.rolling_back import bench
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]


async def test_agents_are_asked_side_by_side_and_one_with_tools_works_in_a_run_of_its_own(
    runner: Runner, tmp_path: Path
) -> None:
    own = ours(runner, tmp_path)
    script = scripted(asks(("clerk", "one"), ("thinker", "why"), ("clerk", "two")))
    async with own.worker(script) as llm:
        handle = await own.start(SESSION, session())
        result = await handle.result()
        status: RunStatus = await handle.query(AgentSessionWorkflow.status)
        history = await handle.fetch_history()
        changes = await handle.query(AgentSessionWorkflow.changes)
    assert result.state is RunState.COMPLETED
    assert result.answer.text == "written | thinker thinks | written"
    assert sorted(path.name for path in own.settings.workspace.iterdir()) == ["one.md", "two.md"]
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
    assert [change.step for change in changes.changes] == ["session", "session"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [(DelegationLimits(depth=0), "no deeper than this"), (DelegationLimits(count=1), "has asked 1 agents")],
)
async def test_depth_and_count_are_bounded(runner: Runner, tmp_path: Path, limits: DelegationLimits, said: str) -> None:
    own = ours(runner, tmp_path)
    script = scripted(asks(("thinker", "one"), ("thinker", "two")))
    result, llm = await own.run(script, SESSION, session(delegation=limits))
    assert said in result.answer.text
    assert sum(who(call) == "thinker" for call in llm.calls) == limits.count * (limits.depth > 0)


async def test_an_agent_below_asks_again_until_the_depth_is_reached(runner: Runner, tmp_path: Path) -> None:
    agents = {
        "lead": "agents: [middle]",
        "middle": "agents: [lower]",
        "lower": "agents: [thinker]",
        "thinker": "model: opus",
    }
    chain = {"lead": "middle", "middle": "lower", "lower": "thinker"}

    def script(call: ModelCall) -> Any:
        name = who(call)
        if name == "thinker":
            return "deep thought"
        return asks((chain[name], "go on")) if not call.history else str(results(call)[-1]["content"])

    own = ours(runner, tmp_path, agents)
    result, _ = await own.run(script, SESSION, session(delegation=DelegationLimits(depth=3)))
    assert (result.answer.text, result.spend.calls) == ("deep thought", 7)
    result, _ = await own.run(script, SESSION, session(delegation=DelegationLimits(depth=2)))
    assert "no deeper than this" in result.answer.text


async def test_three_side_by_side_do_not_overshoot_the_budget(runner: Runner, tmp_path: Path) -> None:
    own = ours(runner, tmp_path)

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return asks(("clerk", "a"), ("clerk", "b"), ("clerk", "c")) if not call.history else "done"
        return calls(("list_files", {}), turn=turn(call))  # never ends by itself

    budget = Budget(calls=11, gate={"deadline_seconds": 5})
    async with own.worker(script) as llm:
        handle = await own.start(SESSION, session(budget=budget))
        result = await handle.result()
    assert result.spend.calls == len(llm.calls) == 11 - result.budget.calls + result.budget.spent.calls
    assert sum(who(call) == "clerk" for call in llm.calls) == 9, "each had a third of what was left, but for one call"
    assert result.budget.spent.calls <= 11
    assert result.answer.text == "done"


def test_the_id_of_a_run_below_is_one_that_a_server_takes() -> None:
    assert id_below("run", "session/clerk", "abc123") == "run/session/clerk-abc123"
    for length in (985, 989, 990):
        cut = id_below("x" * length, "é" * 64, "abc123")
        assert cut.startswith("x" * length + "/")
        assert cut.endswith("-abc123")
        assert 990 < len(f"{cut}~3".encode()) <= 1000
    with pytest.raises(ApplicationError, match="start runs with shorter ids"):
        id_below("x" * 991, "session/clerk", "abc123")


@workflow.defn(name="Foreign")
class ForeignWorkflow:
    """Fails as nothing of this library does."""

    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("no", type="Foreign")

    @workflow.query
    def settled(self) -> Settled:
        return Settled(asked=3)


async def test_a_failure_of_a_kind_that_nobody_knows_is_read(runner: Runner) -> None:
    client = runner.env.client
    async with Worker(
        client, task_queue="foreign", workflows=[ForeignWorkflow], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        handle = await client.start_workflow("Foreign", id="foreign", task_queue="foreign")
        read = ActivityEnvironment(client=client)
        ended = await read.run(DelegateActivities().read_delegate, DelegateRequest(run=handle.id))
        missing = await read.run(DelegateActivities().read_delegate, DelegateRequest(run="nobody"))
    assert (ended.kind, ended.error, ended.settled.asked) == (ErrorKind.UNEXPECTED, "no", 3)
    assert (missing.kind, missing.error) == ("", "it never began")


async def test_those_that_begin_together_share_the_count(runner: Runner, tmp_path: Path) -> None:
    agents = {
        "lead": "agents: [clerk, thinker]",
        "clerk": "tools: Read\nagents: thinker",
        "thinker": "model: opus",
    }
    many = asks(*[("thinker", str(each)) for each in range(6)])

    def clerk(call: ModelCall) -> Any:
        return "done" if call.history else many

    own = ours(runner, tmp_path, agents)
    script = scripted(asks(("clerk", "one"), ("clerk", "two")), clerk, asks(*[("thinker", "x")] * 6, at=1))
    result, llm = await own.run(script, SESSION, session(delegation=DelegationLimits(count=9)))
    asked = sum(who(call) == "thinker" for call in llm.calls) + 2
    assert (asked, result.answer.text.count("has asked 9 agents")) == (9, 3)
