"""A fallback, or a second try, knows what was done before it, and no act of a step is done twice."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from outlast.contracts import OnFallback, OnStepFailure, Plan, PlanRequest, PlanStep
from outlast.llm.base import ModelCall, ModelReply
from outlast.llm.scripted import Script
from outlast.stages.contracts import Stage, StagedRequest
from outlast.tools.tool import Tool
from tests.workflow.conftest import with_agents
from tests.workflow.people.gating import waiting
from tests.workflow.talking.test_agent_session import calls, results
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, Bench, D, U, bench, changes_of, states
from workflows.staged_delivery import StagedDeliveryWorkflow

__all__ = ["bench"]

REPLAN = OnStepFailure.REPLAN
WRITE = ("write_file", {"path": "a.md", "content": "new"})
SHOUT = ("shout", {"text": "hello"})


@pytest.fixture
def pair(bench: Bench, tmp_path: Path) -> Bench:
    """Two agents with the same tools, one the other's fallback."""
    tools = "tools: Write, shout"
    made = with_agents(bench.runner, tmp_path / "agents", {"a": f"{tools}\nfallback: b", "b": tools})
    # What a tool changes is away for longer than anybody waits for it.
    bench.runner = replace(made, settings=made.settings.model_copy(update={"tool_wait": 0.0}))
    return bench


def each_says(**replies: list[ModelReply | str]) -> Script:
    """Let each agent, named by its prompt, answer in turn."""

    def script(call: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in call.history)
        return replies[call.system.removeprefix("You are ").split(".")[0]][turn]

    return script


def one_step(**fields: Any) -> PlanRequest:
    return PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Tell them."),)), **fields)


async def run_with_yes(
    bench: Bench, script: Script, request: PlanRequest, gates: int
) -> tuple[Any, Any, list[ModelCall]]:
    async with bench.runner.worker(script) as llm:
        handle = await bench.runner.start(PLAN, request)
        with bench.runner.env.auto_time_skipping_disabled():
            for number in range(1, gates + 1):
                (gate,) = await waiting(handle)
                assert gate.name == f"gate-{number}"
                await handle.execute_update("decide", {"gate": gate.name, "verdict": "approve", "by": "ann"})
            result = await handle.result()
        return result, await changes_of(handle), llm.calls


async def test_a_fallback_is_told_what_was_done_and_does_none_of_it_again(pair: Bench) -> None:
    script = each_says(
        a=[calls(WRITE, turn=1), calls(SHOUT, turn=2), REFUSAL],
        b=[calls(WRITE, SHOUT, turn=1), "All told."],
    )
    result, changes, llm_calls = await run_with_yes(pair, script, one_step(), gates=1)
    assert result.answers[0].content.text == "All told."
    assert pair.did == ["write_file a.md", "shout"]
    assert [(change.tool, change.agent, change.state) for change in changes.changes] == [
        ("write_file", "a", D),
        ("shout", "a", D),
    ]
    (first, *_) = [call for call in llm_calls if call.system.startswith("You are b")]
    said = "\n".join(text for _, text in first.messages)
    assert "Do not do any of it again" in said
    assert '1. a called write_file({"path": "a.md", "content": "new"}): done. It answered: a.md written' in said
    assert '2. a called shout({"text": "hello"}): done. It answered: shouted hello' in said
    assert str(results(llm_calls[-1])).count("This was done already, by a, and was not done again") == 2


async def test_a_policy_may_take_everything_back_before_a_fallback_tries(pair: Bench) -> None:
    script = each_says(a=[calls(WRITE, turn=1), REFUSAL], b=[calls(WRITE, turn=1), "Written."])
    request = one_step(on_fallback=OnFallback.ROLL_BACK)
    _, changes, llm_calls = await run_with_yes(pair, script, request, gates=0)
    assert pair.did == ["write_file a.md", "restore_file a.md", "write_file a.md"]
    assert (pair.files, states(changes)) == ({"a.md": "new"}, [U, D])
    assert len({change.key for change in changes.changes}) == 2
    told = next(call for call in llm_calls if call.system.startswith("You are b")).messages[0][1]
    assert "undone since; it counts as not done" in told


async def test_what_nobody_knows_of_is_made_again_as_the_same_act(pair: Bench) -> None:
    away = [True]

    async def around(tool: Tool, _: BaseModel, run: Callable[[], Awaitable[str]]) -> str:
        if tool.name == "shout" and away:
            away.pop()
            raise ConnectionError("the line is dead")
        return await run()

    pair.around = around
    script = each_says(a=[calls(SHOUT, turn=1), REFUSAL], b=[calls(SHOUT, turn=7), "Told."])
    _, changes, llm_calls = await run_with_yes(pair, script, one_step(), gates=2)
    (change,) = changes.changes
    assert (pair.did, change.state, change.agent) == (["shout"], D, "b")
    told = next(call for call in llm_calls if call.system.startswith("You are b")).messages[0][1]
    assert "nobody knows whether it happened" in told


async def test_an_agent_may_do_the_same_twice_where_it_means_to(pair: Bench) -> None:
    """Only what another attempt did is not done again; a fallback that does it once more than that does it once more."""
    again = ("write_file", {"path": "a.md", "content": "other"})
    script = each_says(
        a=[calls(WRITE, turn=1), calls(again, turn=2), calls(WRITE, turn=3), REFUSAL],
        b=[calls(WRITE, turn=1), calls(WRITE, turn=2), calls(WRITE, turn=3), "Done."],
    )
    _, changes, _ = await run_with_yes(pair, script, one_step(), gates=0)
    assert pair.did == ["write_file a.md"] * 4
    assert len({change.key for change in changes.changes}) == 4


async def test_a_stage_that_is_tried_again_repeats_nothing(pair: Bench) -> None:
    tried: list[str] = []

    def script(call: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in call.history)
        if turn == 0:
            tried.append(call.messages[0][1])
            return calls(WRITE, turn=len(tried))
        return REFUSAL if len(tried) == 1 else "Delivered."

    stage = Stage(name="only", goal="Write it.", agents=("b",), max_steps=1, attempts=2)
    async with pair.runner.worker(script):
        handle = await pair.runner.start(
            StagedDeliveryWorkflow.run, StagedRequest(task="t", stages=(stage,), planner="a")
        )
        result = await handle.result()
    assert (result.stages[0].attempts, pair.did) == (2, ["write_file a.md"])
    assert "Do not do any of it again" not in tried[0]
    assert "Do not do any of it again" in tried[1]


async def test_a_planner_is_told_what_a_failed_step_did(pair: Bench) -> None:
    asked: list[str] = []

    def script(call: ModelCall) -> Any:
        if call.system.startswith("You are planner"):
            asked.append(call.messages[0][1])
            return '{"steps": [{"step": 2, "agent": "b", "input": "Tell them that it is done."}]}'
        turn = sum(message["role"] == "assistant" for message in call.history)
        return "Told." if asked else (calls(WRITE, turn=1), REFUSAL)[turn]

    (pair.runner.settings.agents_dir / "planner.md").write_text(
        "---\nname: planner\ndescription: d\n---\nYou are planner.\n"
    )
    plan = Plan(steps=(PlanStep(step="1", agent="b", input="Write."),))
    _, changes, _ = await run_with_yes(pair, script, PlanRequest(task="t", plan=plan, on_step_failure=REPLAN), gates=0)
    assert states(changes) == [D]
    assert 'Before it failed, step 1 did this:\n1. b called write_file({"path": "a.md"' in asked[0]
