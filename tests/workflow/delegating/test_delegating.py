"""Agents that ask agents: side by side, within bounds, one budget, gates, undo, cancelling, forks; and hand-offs."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from outlast.agents.delegation.contracts import DelegateRequest, Settled
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.agents.delegation.own_run import id_below
from outlast.agents.sessions import AgentSessionRequest, AgentSessionResult, MessageState
from outlast.cli.reaching import Reach
from outlast.cli.runs.ended_rollback import roll_back_ended
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    ChangeState,
    DelegationLimits,
    Plan,
    PlanRequest,
    PlanResult,
    PlanStep,
    RunState,
    RunStatus,
    StepState,
)
from outlast.errors import ErrorKind, kind_of
from outlast.forks.forking import fork
from outlast.llm.base import ModelCall, ModelReply
from outlast.tools.tool import Tool
from tests.workflow.base.test_agent_session import calls, results
from tests.workflow.base.test_conversations import answered, gate_open, said
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.forks.test_resets import reset, tasks_of
from tests.workflow.telling.telling import hooks
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, Bench, bench, changes_of, states
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]

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
        changes = await handle.query(AgentSessionWorkflow.changes)
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
    assert [change.step for change in changes.changes] == ["session", "session"]


def plan(*agents: str, **fields: Any) -> PlanRequest:
    steps = tuple(PlanStep(step=f"s{at}", agent=agent, input="Go") for at, agent in enumerate(agents))
    return PlanRequest(plan=Plan(steps=steps), **fields)


@pytest.mark.parametrize(
    ("limits", "said"),
    [(DelegationLimits(depth=0), "no deeper than this"), (DelegationLimits(count=1), "has asked 1 agents")],
)
async def test_depth_and_count_are_bounded(runner: Runner, tmp_path: Path, limits: DelegationLimits, said: str) -> None:
    crewed = ours(runner, tmp_path)
    script = crew(asks(("thinker", "one"), ("thinker", "two")))
    result, llm = await crewed.run(script, SESSION, session(delegation=limits))
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

    crewed = ours(runner, tmp_path, agents)
    result, _ = await crewed.run(script, SESSION, session(delegation=DelegationLimits(depth=3)))
    assert (result.answer.text, result.spend.calls) == ("deep thought", 7)
    result, _ = await crewed.run(script, SESSION, session(delegation=DelegationLimits(depth=2)))
    assert "no deeper than this" in result.answer.text


async def test_three_side_by_side_do_not_overshoot_the_budget(runner: Runner, tmp_path: Path) -> None:
    crewed = ours(runner, tmp_path)

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return asks(("clerk", "a"), ("clerk", "b"), ("clerk", "c")) if not call.history else "done"
        return calls(("list_files", {}), turn=turn(call))  # never ends by itself

    budget = Budget(calls=11, gate={"deadline_seconds": 5})
    async with crewed.worker(script) as llm:
        handle = await crewed.start(SESSION, session(budget=budget))
        result = await handle.result()
    assert result.spend.calls == len(llm.calls) == 11 - result.budget.calls + result.budget.spent.calls
    assert sum(who(call) == "clerk" for call in llm.calls) == 9, "each had a third of what was left, but for one call"
    assert result.budget.spent.calls <= 11
    assert result.answer.text == "done"


SHOUT = ("shout", {"text": "hello"})


def shouts(call: ModelCall) -> Any:
    return calls(SHOUT, turn=7) if not call.history else str(results(call)[-1]["content"])


async def test_a_gate_below_is_seen_above_and_a_denial_there_holds_for_all(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(
        bench.runner, tmp_path, {**CREW, "lead": "agents: clerk\ntools: shout", "clerk": "tools: shout"}
    )
    script = crew(asks(("clerk", "shout")), shouts, asks(("clerk", "again"), at=1), calls(SHOUT, turn=2))
    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script):
            handle = await bench.runner.start(SESSION, session(requester="ann"))
            below = await waits_below(handle)
            assert (below.agent, below.gates[0].requester) == ("clerk", "ann")
            child = bench.runner.env.client.get_workflow_handle(below.run)
            await child.execute_update("decide", {"gate": below.gates[0].name, "verdict": "deny", "by": "bob"})
            result = await handle.result()
            status: RunStatus = await handle.query(AgentSessionWorkflow.status)
            settled = [
                await bench.runner.env.client.get_workflow_handle(row.run).query("settled") for row in status.steps[1:]
            ]
    assert result.answer.text.count("was not called: it was denied by bob") == 3, (
        "the lead and a second clerk ask nobody"
    )
    assert (status.below, status.gates, bench.did) == ((), (), [])
    assert [len(each.get("denied", ())) for each in settled] == [1, 0]


async def test_a_gate_below_names_both_runs_and_no_approval_of_another_run_covers_it(
    bench: Bench, tmp_path: Path
) -> None:
    """What the lead may do without being asked, a clerk may not; nor does the approval of one clerk cover another."""
    bench.runner = ours(
        bench.runner, tmp_path, {**CREW, "lead": "agents: clerk\ntools: shout", "clerk": "tools: shout"}
    )
    script = crew(
        calls(SHOUT, turn=1), shouts, calls(SHOUT, turn=2), asks(("clerk", "shout")), asks(("clerk", "more"), at=1)
    )
    with bench.runner.env.auto_time_skipping_disabled(), hooks({}) as (web, hook):
        told = {
            "notify_urls": SecretStr(f"{hook}/notice"),
            "webhook_private": True,
            "webhook_secret": SecretStr("s" * 32),
        }
        bench.runner = replace(bench.runner, settings=bench.runner.settings.model_copy(update=told))
        async with bench.runner.worker(script):
            handle = await bench.runner.start(SESSION, session(webhooks=(f"{hook.replace('json:', 'http:')}/hook",)))
            await at_gate(handle)
            await handle.signal("approve", {"by": "bob", "stop_asking": True})
            for _ in range(2):
                below = await waits_below(handle)
                child = bench.runner.env.client.get_workflow_handle(below.run)
                await child.execute_update("decide", {"verdict": "approve", "by": "bob", "stop_asking": True})
                await child.result()
            result = await handle.result()
            changes = await changes_of(handle)
            async with asyncio.timeout(30):
                while len(web.took["/hook"]) < 4 or len(web.took["/notice"]) < 6:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    assert (result.answer.text.count("shouted hello"), bench.did) == (4, ["shout"] * 4)
    assert [(change.tool, change.step, change.agent) for change in changes.changes] == [
        *[("shout", "session", "lead")] * 2,
        *[("shout", "session", "clerk")] * 2,
    ]
    opened = [body for body in web.took["/hook"] if body["event"] == "gate_opened"]
    assert [(body["parent"], body["agent"]) for body in opened] == [("", ""), *[(handle.id, "clerk")] * 2]
    assert opened[-1]["workflow_id"] == below.run
    asked = [notice["message"] for notice in web.took["/notice"] if " opened:" in notice["title"]]
    assert [(f"Part of: {handle.id}" in text, "Asked by: clerk" in text) for text in asked] == [
        (False, False),
        *[(True, True)] * 2,
    ]


async def at_gate(handle: Any) -> None:
    async with asyncio.timeout(30):
        while not (await handle.query(AgentSessionWorkflow.status)).gates:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def waits_below(handle: Any) -> Any:
    async with asyncio.timeout(30):
        while True:
            status: RunStatus = await handle.query(AgentSessionWorkflow.status)
            if status.below:
                return status.below[0]
            await asyncio.sleep(0.05)


async def test_a_rollback_above_undoes_what_was_changed_below_once(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path)
    script = crew(asks(("clerk", "one"), ("clerk", "two")), None, REFUSAL)
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
    script = crew(asks(("clerk", "one")), lambda call: writes("one") if not call.history else REFUSAL)
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

    script = crew(asks(("clerk", "one")), lambda call: hold() if call.history else writes("one"))
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


async def test_a_fork_takes_over_what_an_agent_below_has_answered(runner: Runner, tmp_path: Path) -> None:
    crewed = ours(runner, tmp_path, {**CREW, "clerk": "tools: Read"})
    said = iter(["first", "second"])

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            if call.history:
                return next(said) + str(results(call)[-1]["content"])
            return asks(("clerk", "look"))
        return "seen"

    async with crewed.worker(script) as llm:
        first = await crewed.start(PLAN, plan("lead"))
        await first.result()
        asked = len(llm.calls)
        again = await fork(crewed.env.client, first.id, store=crewed.store, from_step="s0")
        result = PlanResult.model_validate(await again.result())
    assert [who(call) for call in llm.calls[asked:]] == ["lead", "lead"], "the clerk was not asked again"
    assert result.state is RunState.COMPLETED


async def test_a_conversation_is_handed_over(runner: Runner, tmp_path: Path) -> None:
    crewed = ours(
        runner,
        tmp_path,
        {"lead": "agents: [clerk]\nhandoff: true\ntools: Read", "clerk": "tools: Write\nhandoff: lead"},
    )

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return calls(("hand_over_to_clerk", {"reason": "it writes"}), ("list_files", {}), turn=1)
        return writes("done", at=turn(call)) if turn(call) == 1 else "it is done"

    async with crewed.worker(script) as llm:
        handle = await crewed.start(SESSION, session())
        result = await handle.result()
        status: RunStatus = await handle.query(AgentSessionWorkflow.status)
    assert (result.answer.text, result.progress.agent) == ("it is done", "clerk")
    assert [who(call) for call in llm.calls] == ["lead", "clerk", "clerk"]
    assert [tool.name for tool in llm.calls[1].tools] == ["hand_over_to_lead", "write_file"]
    assert "because: it writes" in results(llm.calls[1])[0]["content"]
    assert [(hop.origin, hop.target, hop.handoff) for hop in status.hops] == [("lead", "clerk", True)]
    assert status.steps[0].agent == "clerk"


async def test_two_that_send_a_conversation_back_and_forth_come_to_an_end(runner: Runner, tmp_path: Path) -> None:
    crewed = ours(runner, tmp_path, {"lead": "handoff: clerk", "clerk": "handoff: [lead]"})

    def script(call: ModelCall) -> Any:
        if results(call) and "which is the most" in results(call)[-1]["content"]:
            return "then I answer"
        return calls((f"hand_over_to_{'clerk' if who(call) == 'lead' else 'lead'}", {}), turn=turn(call))

    result, llm = await crewed.run(script, SESSION, session())
    assert (result.answer.text, len(llm.calls)) == ("then I answer", 12)


async def test_an_interruption_ends_what_an_agent_below_does(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path, {**CREW, "clerk": "tools: [shout, Write]"})

    def script(call: ModelCall) -> Any:
        if who(call) == "lead":
            return "I wait" if "wait" in str(call.history[-1:]) else asks(("clerk", "one"))
        return writes("one") if turn(call) == 0 else calls(SHOUT, turn=7)

    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script):
            talk = await bench.runner.start(SESSION, session(conversation=True))
            below = await waits_below(talk)
            await said(talk, {"text": "wait", "by": "ann", "interrupt": True})
            view = await answered(talk, 2)
            ended = await bench.runner.env.client.get_workflow_handle(below.run).describe()
            await talk.signal("delegate_waits", below)  # one that its end has overtaken
            status: RunStatus = await talk.query(AgentSessionWorkflow.status)
            changes = await changes_of(talk)
            await talk.execute_update("end")
            await talk.result()
    assert [each.state for each in view.messages] == [MessageState.INTERRUPTED, MessageState.ANSWERED]
    assert (ended.status, status.below, status.notices) == (WorkflowExecutionStatus.CANCELED, (), ())
    assert [(change.tool, change.state) for change in changes.changes] == [("write_file", ChangeState.DONE)]
    assert bench.did == ["write_file one.md"]


async def test_a_hand_over_in_a_turn_that_is_interrupted_does_not_happen(bench: Bench, tmp_path: Path) -> None:
    bench.runner = ours(bench.runner, tmp_path, {"lead": "handoff: clerk\ntools: shout", "clerk": "tools: Write"})

    def script(call: ModelCall) -> Any:
        if "wait" in str(call.history[-1:]):
            return f"{who(call)} waits"
        return calls(("hand_over_to_clerk", {}), SHOUT, turn=1)

    with bench.runner.env.auto_time_skipping_disabled():
        async with bench.runner.worker(script) as llm:
            talk = await bench.runner.start(SESSION, session(conversation=True))
            await gate_open(talk)
            await said(talk, {"text": "wait", "by": "ann", "interrupt": True})
            view = await answered(talk, 2)
            await talk.execute_update("end")
            await talk.result()
    assert [each.answer.text for each in view.messages if each.answer] == ["lead waits"]
    assert "handed" not in str(results(llm.calls[-1]))


async def test_a_reset_takes_over_the_runs_below_and_pays_nothing_again(real_runner: Runner, tmp_path: Path) -> None:
    """While an agent below is at work, to before all of them; and when all has ended, to there and to the middle."""
    crewed, free, held = ours(real_runner, tmp_path), asyncio.Event(), asyncio.Event()
    client = crewed.env.client

    async def writing(call: ModelCall) -> Any:
        if not call.history:
            return writes(str(call.messages[0][1]).split()[-1])
        if "three" in str(call.history):
            held.set()
            await free.wait()
        return "written"

    script = crew(asks(("clerk", "one"), ("clerk", "two")), writing, asks(("clerk", "three"), at=1))
    async with crewed.worker(script) as llm:
        original = await crewed.start(SESSION, session())
        await held.wait()
        again = await reset(client, original, (await tasks_of(original))[0])
        handle = client.get_workflow_handle(again.id, run_id=again.run_id, result_type=AgentSessionResult)
        async with asyncio.timeout(30):
            while (await handle.query(AgentSessionWorkflow.status)).steps[-1].step != "session/clerk#3":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
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
    crewed, asked, free = ours(runner, tmp_path), asyncio.Event(), asyncio.Event()

    async def writing(call: ModelCall) -> Any:
        asked.set()
        await free.wait()
        return "written" if call.history else writes("one")

    with runner.env.auto_time_skipping_disabled():
        async with crewed.worker(crew(asks(("clerk", "one")), writing)) as llm:
            handle = await crewed.start(SESSION, session())
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
            assert not crewed.settings.workspace.exists() or not list(crewed.settings.workspace.iterdir())
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
    script = crew(asks(("clerk", "one")), writing, asks(("clerk", "both"), at=1))
    client = bench.runner.env.client
    async with bench.runner.worker(script):
        handle = await bench.runner.start(SESSION, session())
        await asked.wait()
        await handle.terminate("enough")
        reach = Reach(bench.runner.settings, client)
        told = [await roll_back_ended(reach, await reach.find(handle.id), "") for _ in range(2)]
    assert bench.undone == ["slow.md", "quick.md", "first.md"]
    assert [whole for _, whole in told] == [True, True]
    assert bench.files == {"a.md": "old"}


async def test_those_that_begin_together_share_the_count(runner: Runner, tmp_path: Path) -> None:
    agents = {
        "lead": "agents: [clerk, thinker]",
        "clerk": "tools: Read\nagents: thinker",
        "thinker": "model: opus",
    }
    many = asks(*[("thinker", str(each)) for each in range(6)])

    def clerk(call: ModelCall) -> Any:
        return "done" if call.history else many

    crewed = ours(runner, tmp_path, agents)
    script = crew(asks(("clerk", "one"), ("clerk", "two")), clerk, asks(*[("thinker", "x")] * 6, at=1))
    result, llm = await crewed.run(script, SESSION, session(delegation=DelegationLimits(count=9)))
    asked = sum(who(call) == "thinker" for call in llm.calls) + 2
    assert (asked, result.answer.text.count("has asked 9 agents")) == (9, 3)
