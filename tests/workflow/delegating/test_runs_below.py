"""What becomes of the runs of agents that were asked: undone, failed, ended, forked, reset, paused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from outlast.agents.sessions import AgentSessionResult
from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import (
    ROLL_BACK_ALL,
    ChangeState,
    GatePolicy,
    OnTimeout,
    PlanResult,
    RunState,
    RunStatus,
    StepState,
)
from outlast.errors import ErrorKind, kind_of
from outlast.forks.changes import with_changes
from outlast.forks.forking import fork
from outlast.forks.reading import read_run
from outlast.llm.base import ModelCall
from outlast.tools.tool import Tool
from tests.workflow.conftest import Runner
from tests.workflow.delegating.delegating import (
    AGENTS,
    SESSION,
    asks,
    ours,
    plan,
    scripted,
    session,
    shouts,
    waits_below,
    who,
    writes,
)
from tests.workflow.forks.test_resets import reset, tasks_of
from tests.workflow.people.steering import status_when
from tests.workflow.talking.test_agent_session import calls, results
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, Bench, bench, changes_of, states
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]


async def test_a_rollback_above_undoes_what_was_changed_below_once(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path)
    script = scripted(asks(("clerk", "one"), ("clerk", "two")), None, REFUSAL)
    async with bench.runner.worker(script):
        handle = await bench.runner.start(SESSION, session(on_failure=ROLL_BACK_ALL))
        cause = await bench.fails(handle)
        changes = await changes_of(handle)
    assert kind_of(cause) is ErrorKind.MODEL_REFUSED
    assert states(changes) == [ChangeState.UNDONE] * 2
    assert len(bench.undone) == 2
    assert bench.files == {"a.md": "old"}


async def test_an_agent_below_that_fails_is_told_to_the_model_and_its_changes_are_kept_in_mind(
    bench: Bench, tmp_path: Path
) -> None:
    bench.runner = ours(bench.runner, tmp_path)
    script = scripted(asks(("clerk", "one")), lambda call: writes("one") if not call.history else REFUSAL)
    async with bench.runner.worker(script) as llm:
        handle = await bench.runner.start(SESSION, session())
        result = await handle.result()
        changes = await changes_of(handle)
    assert "clerk could not do it" in result.answer.text
    assert [(change.tool, change.state) for change in changes.changes] == [("write_file", ChangeState.DONE)]
    assert result.spend.calls == len(llm.calls) == 4


@pytest.mark.parametrize("how", ["terminated", "cancelled", "parent"])
async def test_one_that_is_ended_from_outside_is_taken_over_and_counted(
    real_runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    bench = Bench(real_runner, monkeypatch)
    bench.runner = ours(bench.runner, tmp_path)
    asked = asyncio.Event()

    async def hold() -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    script = scripted(asks(("clerk", "one")), lambda call: hold() if call.history else writes("one"))
    async with bench.runner.worker(script):
        handle = await bench.runner.start(SESSION, session(on_failure=ROLL_BACK_ALL))
        await asked.wait()
        row = (await handle.query(AgentSessionWorkflow.status)).steps[-1]
        child = bench.runner.env.client.get_workflow_handle(row.run)
        if how == "parent":
            await handle.cancel()
            await bench.fails(handle)
            with pytest.raises(WorkflowFailureError):
                await child.result()
        else:
            await (child.terminate("enough") if how == "terminated" else child.cancel())
            result = await handle.result()
            assert "clerk could not do it" in result.answer.text
        changes = await changes_of(handle)
        spend = (await handle.query(AgentSessionWorkflow.status)).spend
    assert states(changes) == [ChangeState.UNDONE if how == "parent" else ChangeState.DONE]
    assert len(bench.undone) == (how == "parent")
    assert spend.calls == (3 if how == "terminated" else 4 if how == "cancelled" else 3)


@pytest.mark.parametrize("how", ["denied", "halted"])
async def test_a_denial_that_ends_the_run_ends_what_works_beside_it(bench: Bench, tmp_path: Path, how: str) -> None:
    bench.runner = ours(bench.runner, tmp_path, {**AGENTS, "clerk": "tools: [shout, Write]"})
    asked = asyncio.Event()

    async def clerk(call: ModelCall) -> Any:
        if "holds" in str(call.history or call.messages):
            if call.history:
                asked.set()
                await asyncio.sleep(3600)
            return writes("holds")
        await asked.wait()
        return shouts(call)

    policy = (
        {"on_denied": ROLL_BACK_ALL} if how == "denied" else {"gate": GatePolicy(deadline=1, on_timeout=OnTimeout.HALT)}
    )
    script = scripted(asks(("clerk", "holds"), ("clerk", "shout")), clerk)
    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script):
            handle = await bench.runner.start(SESSION, session(on_failure=ROLL_BACK_ALL, **policy))
            if how == "denied":
                child = bench.runner.env.client.get_workflow_handle((await waits_below(handle)).run)
                await child.execute_update("decide", {"verdict": "deny", "by": "bob"})
            cause = await bench.fails(handle)
            status: RunStatus = await handle.query(AgentSessionWorkflow.status)
            beside = await bench.runner.env.client.get_workflow_handle(status.steps[1].run).describe()
    assert kind_of(cause) is (ErrorKind.ROLLED_BACK if how == "denied" else ErrorKind.HALTED)
    assert beside.status is WorkflowExecutionStatus.CANCELED
    assert (bench.undone, bench.files) == (["holds.md"], {"a.md": "old"})


async def test_a_fork_takes_over_what_an_agent_below_has_answered(runner: Runner, tmp_path: Path) -> None:
    own = ours(runner, tmp_path, {**AGENTS, "clerk": "tools: Read"})
    said = iter(["first", "second"])

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            if call.history:
                return next(said) + str(results(call)[-1]["content"])
            return asks(("clerk", "look"))
        return "seen"

    async with own.worker(script) as llm:
        first = await own.start(PLAN, plan("lead"))
        await first.result()
        asked = len(llm.calls)
        again = await fork(own.env.client, first.id, store=own.store, from_step="s0")
        result = PlanResult.model_validate(await again.result())
    assert [who(call) for call in llm.calls[asked:]] == ["lead", "lead"], "the clerk was not asked again"
    assert result.state is RunState.COMPLETED


async def test_a_reset_takes_over_the_runs_below_and_pays_nothing_again(real_runner: Runner, tmp_path: Path) -> None:
    """While an agent below is at work, to before all of them; and when all has ended, to there and to the middle."""
    own, free, held = ours(real_runner, tmp_path), asyncio.Event(), asyncio.Event()
    client = own.env.client

    async def writing(call: ModelCall) -> Any:
        if not call.history:
            return writes(str(call.messages[0][1]).split()[-1])
        if "three" in str(call.history):
            held.set()
            await free.wait()
        return "written"

    script = scripted(asks(("clerk", "one"), ("clerk", "two")), writing, asks(("clerk", "three"), at=1))
    async with own.worker(script) as llm:
        original = await own.start(SESSION, session())
        await held.wait()
        again = await reset(client, original, (await tasks_of(original))[0])
        handle = client.get_workflow_handle(again.id, run_id=again.run_id, result_type=AgentSessionResult)
        await status_when(handle, lambda status: "session/clerk#3" in [row.step for row in status.steps])
        free.set()
        first: AgentSessionResult = await handle.result()
        ended = client.get_workflow_handle(handle.id, first_execution_run_id=again.run_id)
        tasks = await tasks_of(handle)
        for task in (tasks[0], tasks[len(tasks) // 2]):
            again = await reset(client, ended, task)
            result = AgentSessionResult.model_validate(await again.result())
            status: RunStatus = await again.query(AgentSessionWorkflow.status)
            assert (result.answer, result.spend.calls) == (first.answer, first.spend.calls), f"reset to {task}"
            assert {row.state for row in status.steps} == {StepState.DONE}
    assert len(llm.calls) == first.spend.calls == 9


@pytest.mark.parametrize("then", ["resume", "cancel"])
async def test_a_pause_goes_down_and_ends_when_it_ends_above(runner: Runner, tmp_path: Path, then: str) -> None:
    own, asked, free = ours(runner, tmp_path), asyncio.Event(), asyncio.Event()

    async def writing(call: ModelCall) -> Any:
        asked.set()
        await free.wait()
        return "written" if call.history else writes("one")

    with runner.env.auto_time_skipping_disabled():
        async with own.worker(scripted(asks(("clerk", "one")), writing)) as llm:
            handle = await own.start(SESSION, session())
            await asked.wait()
            assert (await handle.execute_update("pause", {"by": "ann", "reason": "lunch"}))["accepted"]
            row = (await handle.query(AgentSessionWorkflow.status)).steps[-1]
            child = runner.env.client.get_workflow_handle(row.run)

            async def told(paused: bool, calls: int) -> None:
                async with asyncio.timeout(30):
                    while True:
                        status: RunStatus = await child.query("status", result_type=RunStatus)
                        if (status.paused is not None, status.spend.calls) == (paused, calls):
                            break
                        await asyncio.sleep(0.05)
                assert status.paused is None or (status.paused.by, status.paused.reason) == ("ann", "lunch")

            await told(paused=True, calls=0)
            free.set()
            await told(paused=True, calls=1)
            assert not own.settings.workspace.exists() or not list(own.settings.workspace.iterdir())
            if then == "resume":
                assert (await handle.execute_update("resume"))["accepted"]
                assert (await handle.result()).answer.text == "written"
            else:
                await handle.cancel()
                with pytest.raises(WorkflowFailureError):
                    await handle.result()
                with pytest.raises(WorkflowFailureError):
                    await child.result()
    assert len(llm.calls) == (4 if then == "resume" else 2)


async def test_a_rollback_of_a_run_that_was_terminated_undoes_what_runs_below_did_last_in_first_out(
    real_runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench = Bench(real_runner, monkeypatch)
    bench.runner = ours(bench.runner, tmp_path)
    asked, quick = asyncio.Event(), asyncio.Event()

    async def around(inner: Tool, arguments: BaseModel, run: Any) -> str:
        if getattr(arguments, "path", "") == "slow.md" and inner.name == "write_file":
            await quick.wait()
            await asyncio.sleep(0.5)  # its end is to be reported after that of the other
        said: str = await run()
        if getattr(arguments, "path", "") == "quick.md":
            quick.set()
        return said

    async def hold() -> str:
        asked.set()
        await asyncio.sleep(3600)
        return "never"

    def writing(call: ModelCall) -> Any:
        name = str(call.history[0]["content"] if call.history else call.messages)
        if "both" not in name:
            return "written" if call.history else writes("first")
        both = [("write_file", {"path": f"{each}.md", "content": each}) for each in ("slow", "quick")]
        return hold() if call.history else calls(*both, turn=9)

    bench.around = around
    script = scripted(asks(("clerk", "one")), writing, asks(("clerk", "both"), at=1))
    client = bench.runner.env.client
    async with bench.runner.worker(script):
        handle = await bench.runner.start(SESSION, session())
        await asked.wait()
        await handle.terminate("enough")
        reach = Reach(bench.runner.settings, client)
        before = await with_changes(client, await read_run(client, bench.runner.store, handle.id))
        told = [await roll_back_ended(reach, await reach.find(handle.id), "") for _ in range(2)]
        after = await with_changes(client, await read_run(client, bench.runner.store, handle.id))
    assert bench.undone == ["slow.md", "quick.md", "first.md"]
    assert [[each.stands for each in fork.changes] for fork in (before, after)] == [[True] * 3, [False] * 3]
    assert [whole for _, whole in told] == [True, True]
    assert bench.files == {"a.md": "old"}
