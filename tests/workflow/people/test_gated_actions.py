"""Gates where agents act: irreversible tool calls, confirmed steps, a stuck undo; what was not approved is never done."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError

from outlast.agents.sessions import AgentSessionRequest
from outlast.cli.reaching import Reach
from outlast.cli.recorded.reading import read_history
from outlast.cli.recorded.why import call_data
from outlast.contracts import (
    NOT_BY_REQUESTER,
    ROLL_BACK_ALL,
    DecisionLog,
    GatePolicy,
    OnTimeout,
    Plan,
    PlanRequest,
    PlanStep,
    RunState,
    RunStatus,
    Trace,
    breaks,
)
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall
from outlast.tools.tool import ToolError
from tests.workflow.conftest import with_agents
from tests.workflow.people.gating import waiting, waiting_at
from tests.workflow.talking.test_agent_session import calls, in_turn, results, task
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, SESSION, WRITES, Bench, F, U, bench, changes_of, states
from workflows.agent_session import AgentSessionWorkflow

__all__ = ["bench"]

SHOUTS = in_turn(calls(("shout", {"text": "fire"}), turn=1), "Done.")
WRITES_THEN_SHOUTS = in_turn(
    calls(("write_file", {"path": "a.md", "content": "new"}), turn=1),
    calls(("shout", {"text": "fire"}), turn=2),
    "Done.",
)


@pytest.fixture
def loud(bench: Bench, tmp_path: Path) -> Bench:
    bench.runner = with_agents(bench.runner, tmp_path / "agent-files", {"a": "tools: Write, shout"})
    return bench


async def decide(bench: Bench, handle: "WorkflowHandle[Any, Any]", *sent: tuple[str, Any]) -> None:
    with bench.runner.env.auto_time_skipping_disabled():
        await waiting(handle)
        for name, value in sent:
            await handle.signal(name, value)


def told(llm_calls: Sequence[ModelCall]) -> str:
    return str(results(llm_calls[-1])[-1])


@pytest.mark.parametrize(
    ("sent", "done", "says"),
    [
        ([("approve", {"by": "ann"})], ["shout"], "shouted fire"),
        ([("deny", {"by": "bob", "reason": "too loud"})], [], "it was denied by bob (too loud)"),
        (
            [("approve", {"by": "ann", "edit": {"text": "hush"}}), ("approve", {"by": "bob"})],
            ["shout"],
            "A person changed the arguments to",
        ),
        ([("approve", {"by": "ann", "digest": "0" * 64}), ("deny", "bob")], [], "it was denied by bob"),
        ([], [], "nobody approved it in time"),
    ],
    ids=["approved", "denied", "edited", "another digest", "silence"],
)
async def test_an_irreversible_call_waits_for_a_person(
    loud: Bench, sent: list[tuple[str, Any]], done: list[str], says: str
) -> None:
    async with loud.runner.worker(SHOUTS) as llm:
        handle = await loud.runner.start(SESSION, task(agent="a"))
        if sent:
            await decide(loud, handle, *sent)
        result = await handle.result()
    assert (result.state, loud.did) == (RunState.COMPLETED, done)
    assert says in told(llm.calls)
    if "edit" in str(sent):
        assert "shouted hush" in told(llm.calls)


async def test_who_need_not_be_asked_again_is_told_in_the_trace(loud: Bench) -> None:
    shouts = in_turn(
        calls(("shout", {"text": "fire"}), turn=1),
        calls(("shout", {"text": "fire"}), turn=2),
        calls(("shout", {"text": "flood"}), turn=3),
        "Done.",
    )
    async with loud.runner.worker(shouts):
        handle = await loud.runner.start(SESSION, task(agent="a"))
        await decide(loud, handle, ("approve", {"by": "ann", "stop_asking": {"same": ["text"]}}))
        with loud.runner.env.auto_time_skipping_disabled():
            await waiting_at(handle, "gate-2")
            await handle.signal("approve", {"by": "bob"})
            await handle.result()
        trace = await handle.query("trace", result_type=Trace)
        status = await handle.query("status", result_type=RunStatus)
        log = await handle.query("decisions", result_type=DecisionLog)
        reach = Reach(loud.runner.settings, loud.runner.env.client)
        history = await read_history(reach, await handle.describe())
    assert loud.did == ["shout", "shout", "shout"]
    stands = "approved by ann for this run (every call of shout with text fire; gate-1)"
    approved = [call.approved for call in trace.calls if call.tool]
    assert approved == ["approved by ann (gate-1)", stands, "approved by bob (gate-2)"]
    assert [call_data(call)["approved"] for call in history.calls if call_data(call)["tool"] == "shout"] == approved
    assert f"shout was {stands}" in status.steps[0].note
    assert (status.standing[0].covered, breaks(log.records)) == (1, ())


async def test_whoever_asks_for_an_action_in_a_conversation_does_not_approve_it(loud: Bench) -> None:
    """Whose session it is, and who speaks now; not who spoke before. An approval that stands is as little for who asks."""

    def script(call: ModelCall) -> Any:
        said = str(call.history[-1]["content"] if call.history else call.messages)
        return "Done." if "tool_result" in said else calls(("shout", {"text": f"fire {len(call.history)}"}))

    async with loud.runner.worker(script):
        handle = await loud.runner.start(SESSION, AgentSessionRequest(agent="a", conversation=True, requester="ann"))
        with loud.runner.env.auto_time_skipping_disabled():
            for by, gate, approver, stop in (
                ("ben", 1, "cyd", False),
                ("cyd", 2, "ben", True),
                ("cyd", 0, "", False),
                ("Ben", 3, "cyd", False),
            ):
                await handle.execute_update("say", {"text": "shout", "by": by})
                if gate:
                    rule = (await waiting_at(handle, f"gate-{gate}")).approval_rule
                    assert rule == f"ann and {by} asked for it, so somebody else has to approve"
                    for asker in ("ann", by.lower()):
                        with pytest.raises(WorkflowUpdateFailedError) as refused:
                            await handle.execute_update("decide", {"verdict": "approve", "by": asker})
                        assert NOT_BY_REQUESTER in str(refused.value.cause)
                    approval = {"verdict": "approve", "by": approver}
                    await handle.execute_update("decide", approval | ({"stop_asking": True} if stop else {}))
                await idle(handle)
            await handle.execute_update("end", "ann")
            await handle.result()
    assert loud.did == ["shout"] * 4


async def idle(session: "WorkflowHandle[Any, Any]") -> None:
    """Wait until all that was said to a session is answered."""
    async with asyncio.timeout(30):
        while not all(each.ended for each in (await session.query(AgentSessionWorkflow.conversation)).messages):  # noqa: ASYNC110 - a query has no event
            await asyncio.sleep(0.02)


async def test_a_denied_call_rolls_the_session_back_where_its_request_says_so(loud: Bench) -> None:
    async with loud.runner.worker(WRITES_THEN_SHOUTS):
        handle = await loud.runner.start(SESSION, task(agent="a", on_denied=ROLL_BACK_ALL))
        await decide(loud, handle, ("deny", "bob"))
        error = await loud.fails(handle)
    assert kind_of(error) is ErrorKind.ROLLED_BACK
    assert "rolled back, because gate-1: shout it was denied by bob: 1 undone" in str(error)
    assert loud.files == {"a.md": "old"}
    assert "shout" not in loud.did


async def test_a_cancelled_session_never_acts_and_undoes_what_it_did(loud: Bench) -> None:
    async with loud.runner.worker(WRITES_THEN_SHOUTS):
        handle = await loud.runner.start(SESSION, task(agent="a", on_failure=ROLL_BACK_ALL))
        with loud.runner.env.auto_time_skipping_disabled():
            await waiting(handle)
            await handle.cancel()
            await loud.fails(handle)
    assert (loud.files, "shout" in loud.did) == ({"a.md": "old"}, False)


async def test_peoples_time_is_none_of_the_agents(loud: Bench) -> None:
    policy = GatePolicy(deadline=30 * 86_400.0)
    async with loud.runner.worker(SHOUTS):
        handle = await loud.runner.start(SESSION, task(agent="a", gate=policy))
        result = await handle.result()
    assert (result.state, result.stopped) == (RunState.COMPLETED, "")


async def test_a_policy_that_halts_ends_the_run(loud: Bench) -> None:
    async with loud.runner.worker(SHOUTS):
        handle = await loud.runner.start(SESSION, task(agent="a", gate=GatePolicy(on_timeout=OnTimeout.HALT)))
        error = await loud.fails(handle)
    assert (kind_of(error), loud.did) == (ErrorKind.HALTED, [])


def confirmed(*needs: str, **fields: Any) -> PlanRequest:
    steps = (
        PlanStep(step="look", agent="generalist", input="Look around."),
        PlanStep(step="act", agent="generalist", input="Act at once.", confirm=True, depends_on=needs),
        PlanStep(step="tell", agent="generalist", input="Tell.", depends_on=("act",)),
    )
    return PlanRequest(plan=Plan(steps=steps), **fields)


@pytest.mark.parametrize(
    ("sent", "states_", "asked"),
    [
        ([("approve", {"by": "ann"})], ("done", "done", "done"), "Act at once."),
        ([("deny", "bob")], ("done", "failed", "skipped"), ""),
        ([], ("done", "failed", "skipped"), ""),
        (
            [
                ("approve", {"by": "ann", "edit": {"inptu": "x"}}),
                ("approve", {"by": "ann", "edit": {"input": "Act later."}}),
                ("approve", {"by": "bob"}),
            ],
            ("done", "done", "done"),
            "Act later.",
        ),
    ],
    ids=["approved", "denied", "silence", "edited"],
)
async def test_a_confirmed_step_waits_and_the_others_go_on(
    bench: Bench, sent: list[tuple[str, Any]], states_: tuple[str, ...], asked: str
) -> None:
    async with bench.runner.worker(lambda _: "said") as llm:
        handle = await bench.runner.start(PLAN, confirmed())
        if sent:
            await decide(bench, handle, *sent)
        await handle.result()
        status = await handle.query("status")
    rows = {row["step"]: row for row in status["steps"]}
    assert tuple(rows[step].get("state", "pending") for step in ("look", "act", "tell")) == states_
    assert any("Act" in str(call.messages) for call in llm.calls) is bool(asked)
    assert asked in str([call.messages for call in llm.calls])
    if states_[1] == "failed":
        assert rows["act"]["note"].startswith("gate-1: ")


async def test_a_gate_shows_what_led_to_it(loud: Bench) -> None:
    async with loud.runner.worker(lambda _: "It  rains\nhere. " + "x" * 500):
        handle = await loud.runner.start(PLAN, confirmed("look"))
        with loud.runner.env.auto_time_skipping_disabled():
            (gate,) = await waiting(handle)
            (one,) = gate.before
            assert (one.step, one.agent, one.summary[:15]) == ("look", "generalist", "It rains here. ")
            assert 100 < len(one.summary) <= 200
            await handle.terminate()
    words = calls(("shout", {"text": "fire"}), turn=1)
    async with loud.runner.worker(in_turn(replace(words, text="I see smoke."), "Done.")):
        handle = await loud.runner.start(SESSION, task(agent="a"))
        with loud.runner.env.auto_time_skipping_disabled():
            (gate,) = await waiting(handle)
            await handle.terminate()
    assert [(one.step, one.agent, one.summary) for one in gate.before] == [("session", "a", "I see smoke.")]


async def test_a_stuck_undo_is_put_before_a_person_even_after_a_cancel(bench: Bench) -> None:
    stuck = {"on": True}

    async def failing(tool: Any, arguments: Any, run: Any) -> str:
        if tool.name == "restore_file" and stuck["on"]:
            raise ToolError("the disk is read-only")
        said: str = await run()
        return said

    bench.around = failing
    writes = in_turn(WRITES, REFUSAL)
    async with bench.runner.worker(writes):
        handle = await bench.runner.start(SESSION, task(agent="file-clerk", on_failure=ROLL_BACK_ALL))
        with bench.runner.env.auto_time_skipping_disabled():
            gate = (await waiting(handle))[0]
            assert "try again to undo" in gate.description
            stuck["on"] = False
            await handle.signal("approve", {"by": "ann"})
            await bench.fails(handle)
        changes = await changes_of(handle)
    assert (states(changes), bench.files) == ([U], {"a.md": "old"})


async def test_a_stuck_undo_nobody_decides_on_is_given_up_and_listed(bench: Bench) -> None:
    async def failing(tool: Any, arguments: Any, run: Any) -> str:
        if tool.name == "restore_file":
            raise ToolError("the disk is read-only")
        said: str = await run()
        return said

    bench.around = failing
    writes = in_turn(WRITES, REFUSAL)
    async with bench.runner.worker(writes):
        handle = await bench.runner.start(SESSION, task(agent="file-clerk", on_failure=ROLL_BACK_ALL))
        await bench.fails(handle)
        changes = await changes_of(handle)
    assert (states(changes), bench.files) == ([F], {"a.md": "new"})
