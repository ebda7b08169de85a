"""A no is final: it is not asked for again, not planned around, and no planner takes back that people must approve a step."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from outlast.contracts import (
    GatePolicy,
    OnStepFailure,
    Plan,
    PlanReport,
    PlanRequest,
    PlanStep,
    RecordKind,
    RunState,
    StepState,
)
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall
from outlast.stages.contracts import Stage, StagedRequest
from tests.workflow.conftest import with_agents
from tests.workflow.people.gating import waiting
from tests.workflow.talking.test_agent_session import calls, in_turn, results, task
from tests.workflow.undo.rolling_back import PLAN, REFUSAL, SESSION, Bench, bench
from workflows.staged_delivery import StagedDeliveryWorkflow

__all__ = ["bench"]

SHOUT = ("shout", {"text": "hello"})
MAIL = "Send the mail about the delay to Bob."
REPLAN = OnStepFailure.REPLAN


@pytest.fixture
def denying(bench: Bench, tmp_path: Path) -> Bench:
    agents = {"a": "tools: shout\nfallback: b", "b": "tools: shout", "c": "", "d": "", "planner": ""}
    bench.runner = with_agents(bench.runner, tmp_path / "agents", agents)
    return bench


async def denied(denying: Bench, handle: Any, times: int) -> None:
    """Deny every gate that opens, and no more than so many."""
    for _ in range(times):
        (gate,) = await waiting(handle)
        await handle.execute_update("decide", {"gate": gate.name, "verdict": "deny", "by": "bob", "reason": "too loud"})


async def opened(handle: Any) -> int:
    log = await handle.query("decisions")
    return sum(record["kind"] == RecordKind.OPENED for record in log["records"])


async def test_a_denied_call_is_not_asked_for_again(denying: Bench) -> None:
    """Neither by the agent, nor by its fallback; another call is."""
    other = ("shout", {"text": "good day"})

    def script(call: ModelCall) -> Any:
        turn = sum(message["role"] == "assistant" for message in call.history)
        first = call.system.startswith("You are a")
        return [calls(SHOUT, turn=1), calls(SHOUT if first else other, turn=2), REFUSAL if first else "Quiet."][turn]

    request = PlanRequest(plan=Plan(steps=(PlanStep(step="1", agent="a", input="Shout."),)))
    async with denying.runner.worker(script) as llm:
        handle = await denying.runner.start(PLAN, request)
        with denying.runner.env.auto_time_skipping_disabled():
            await denied(denying, handle, 2)
            result = await handle.result()
        assert await opened(handle) == 2
        notices = (await handle.query("status"))["notices"]
    assert (result.answers[0].content.text, denying.did) == ("Quiet.", [])
    assert sum("it was denied at gate-1 and stays so" in notice for notice in notices) == 2
    said = str(results([call for call in llm.calls if call.system.startswith("You are a")][-1]))
    assert said.count("it was denied by bob (too loud). This is final in this run: do not ask again") == 2


async def test_a_denied_call_stays_denied_when_a_session_forgets_the_other_gates(denying: Bench) -> None:
    script = in_turn(calls(SHOUT, turn=1), calls(SHOUT, turn=2), "Quiet.")
    async with denying.runner.worker(script):
        handle = await denying.runner.start(SESSION, task(agent="b"))
        with denying.runner.env.auto_time_skipping_disabled():
            await denied(denying, handle, 1)
            await handle.result()
        assert await opened(handle) == 1


def planned(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": [{"step": str(number), **step} for number, step in enumerate(steps, 4)]})


async def replanned(
    denying: Bench, plans: list[str], *, denials: int, failing: bool
) -> tuple[PlanReport, Any, list[str], int]:
    """Run a plan whose first step people deny, whose second goes on, and whose third fails if told to."""
    asked: list[str] = []
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return "Done."

    def script(call: ModelCall) -> Any:
        if call.system.startswith("You are planner"):
            asked.append(call.messages[0][1])
            return plans[len(asked) - 1]
        if call.system.startswith("You are d") and failing and not asked:
            return REFUSAL
        return slow() if "slowly" in call.messages[-1][1] else "Done."

    steps = (
        PlanStep(step="1", agent="c", input=MAIL, confirm=True, gate=GatePolicy(eligible=("bob",), deadline=7200)),
        PlanStep(step="2", agent="c", input="And then?", depends_on=("1",)),
        PlanStep(step="3", agent="d", input="Write slowly." if not failing else "Write."),
        PlanStep(step="9", agent="c", input="Finish.", depends_on=("3",)),
    )
    request = PlanRequest(task="t", plan=Plan(steps=steps), on_step_failure=REPLAN)
    async with denying.runner.worker(script):
        handle = await denying.runner.start(PLAN, request)
        with denying.runner.env.auto_time_skipping_disabled():
            await denied(denying, handle, denials)
            go.set()
            result = await handle.result()
        count = await opened(handle)
        plan = await handle.query("plan", result_type=Plan)
    # A planner takes neither the confirmation back nor who may give it.
    assert all(step.gate == steps[0].gate for step in plan.steps if step.confirm)
    report = PlanReport.model_validate_json(await denying.runner.text(result.report))
    return report, result, asked, count


def state_of(report: PlanReport) -> dict[str, StepState]:
    return {row.step: row.state for row in report.steps}


async def test_a_denied_step_ends_its_branch_and_nobody_plans_around_it(denying: Bench) -> None:
    report, result, asked, gates = await replanned(denying, [], denials=1, failing=False)
    assert (asked, gates, result.state) == ([], 1, RunState.PARTIAL)
    assert state_of(report) == {
        "1": StepState.FAILED,
        "2": StepState.SKIPPED,
        "3": StepState.DONE,
        "9": StepState.DONE,
    }


async def test_a_planner_that_goes_around_other_failures_is_held_to_the_no(denying: Bench) -> None:
    """The very act is denied without a gate; one like it has to be confirmed, and waiting for what was denied is no plan."""
    waits = planned({"agent": "c", "input": "Go on.", "depends_on": ["1"]})
    around = planned(
        {"agent": "c", "input": MAIL, "confirm": True},
        {"agent": "d", "input": "Send Bob the mail about the delay, please."},
        {"agent": "d", "input": "Write it differently."},
    )
    report, _, asked, gates = await replanned(denying, [waits, around], denials=2, failing=True)
    first, second = asked
    assert f"People did not approve these steps, or they needed what was not approved:\n- step 1, c: {MAIL}" in first
    assert "step 1:" not in first.split("An earlier plan failed:")[1].split("Finished steps")[0]
    assert "step 4 depends on step 1, which was not approved" in second
    assert gates == 2  # the denied step, and the one like it; the very same act opened none
    assert [change.change for change in report.changes if change.stage == "replan"][-1:] != []
    assert any("step 5 must be confirmed, as it is like step 1" in change.change for change in report.changes)
    assert state_of(report) == {
        "1": StepState.FAILED,
        "2": StepState.SKIPPED,
        "4": StepState.FAILED,
        "5": StepState.FAILED,
        "6": StepState.DONE,
    }


async def test_a_denied_step_of_a_stage_is_not_tried_again(denying: Bench) -> None:
    asked: list[str] = []

    def script(call: ModelCall) -> Any:
        asked.append(call.system)
        return planned({"agent": "c", "input": MAIL, "confirm": True})

    stage = Stage(name="mail", goal="Tell Bob.", agents=("c", "d"), attempts=3)
    async with denying.runner.worker(script):
        handle = await denying.runner.start(StagedDeliveryWorkflow.run, StagedRequest(task="t", stages=(stage,)))
        with denying.runner.env.auto_time_skipping_disabled():
            await denied(denying, handle, 1)
            error = await denying.fails(handle)
    assert (kind_of(error), len(asked)) == (ErrorKind.NOT_APPROVED, 1)
