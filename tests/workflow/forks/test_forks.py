"""Forks and retries on the real server: what is taken over is not asked again, what was edited is, and no effect is repeated."""

import re
from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import WorkflowFailureError, WorkflowHandle

from outlast.cli.reaching import Reach
from outlast.cli.recorded.status import recorded_status
from outlast.contracts import (
    DecisionLog,
    GatePolicy,
    Plan,
    PlanRequest,
    PlanStep,
    RecordKind,
    RunState,
    RunStatus,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.forking import fork, retry, start
from outlast.forks.preparing import Wanted, prepare
from outlast.forks.reading import ForkError
from outlast.llm.base import ModelCall
from outlast.llm.scripted import ScriptedLLM
from tests.workflow.conftest import Runner
from workflows.plan_and_execute import PlanAndExecuteWorkflow

RUN = PlanAndExecuteWorkflow.run


def chain(length: int, **confirm: bool) -> Plan:
    """A plan in which each step needs the one before."""
    return Plan(
        steps=tuple(
            PlanStep(
                step=str(number),
                agent="writer",
                input=f"do {number}",
                depends_on=(str(number - 1),) if number > 1 else (),
                confirm=confirm.get(f"s{number}", False),
            )
            for number in range(1, length + 1)
        )
    )


def answer(call: ModelCall) -> str:
    """The same answer for the same step, whoever asks: a fork must not rely on answers that differ."""
    return "result of " + said(call)


def said(call: ModelCall) -> str:
    found: list[str] = re.findall(r"do ([\w ]+)", call.messages[-1][1])
    return found[0]


def asked(llm: ScriptedLLM) -> Counter[str]:
    return Counter(said(call) for call in llm.calls)


async def forked(runner: Runner, run: str, **wanted: Any) -> WorkflowHandle[Any, Any]:
    return await fork(runner.env.client, run, store=runner.store, **wanted)


async def status_of(handle: WorkflowHandle[Any, Any]) -> RunStatus:
    status: RunStatus = await handle.query("status", result_type=RunStatus)
    return status


async def test_a_fork_from_step_30_of_60_makes_exactly_the_calls_of_the_steps_that_follow(real_runner: Runner) -> None:
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=chain(60)))
        whole = await first.result()
        assert asked(llm) == {str(number): 1 for number in range(1, 61)}
        llm.calls.clear()
        second = await forked(real_runner, first.id, from_step="30")
        result = await second.result()
        status = await status_of(second)
    assert asked(llm) == {str(number): 1 for number in range(30, 61)}
    assert result["state"] == RunState.COMPLETED
    assert result["spend"]["calls"] == 31
    assert result["answers"] == [each.model_dump(mode="json") for each in whole.answers]
    assert status.forked == f"{first.id}, from step 30 on"
    notes = {row.step: row.note for row in status.steps}
    assert notes["29"] == f"taken over from {first.id}"
    assert notes["30"] == ""
    recorded, _ = await recorded_status(Reach(real_runner.settings, real_runner.env.client), await second.describe())
    assert recorded.forked == status.forked  # from its memo, where no worker answers


async def test_only_what_depends_on_the_step_is_done_again(real_runner: Runner) -> None:
    steps = (
        PlanStep(step="left", agent="writer", input="do left"),
        PlanStep(step="right", agent="writer", input="do right"),
        PlanStep(step="after left", agent="writer", input="do after left", depends_on=("left",)),
        PlanStep(step="end", agent="writer", input="do end", depends_on=("after left", "right")),
    )
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=Plan(steps=steps)))
        await first.result()
        llm.calls.clear()
        await (await forked(real_runner, first.id, from_step="left")).result()
        assert asked(llm) == {"left": 1, "after left": 1, "end": 1}


async def test_an_edited_plan_asks_what_was_edited_and_what_comes_after_it(real_runner: Runner) -> None:
    edited = [step.model_dump(mode="json") for step in chain(4).steps]
    edited[2]["input"] = "do 3 otherwise"
    edited[2]["gate"] = {"needed": 2}
    edited.append({"step": "5", "agent": "writer", "input": "do 5", "depends_on": ["1"]})
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=chain(4)))
        await first.result()
        llm.calls.clear()
        second = await forked(real_runner, first.id, edit={"plan": {"steps": edited}})
        await second.result()
        assert asked(llm) == {"3 otherwise": 1, "4": 1, "5": 1}
        assert (await status_of(second)).forked == f"{first.id}, from what was edited on"
        # It is a person's plan: who must approve a step stays in it.
        assert (await second.query("plan", result_type=Plan)).steps[2].gate == GatePolicy(needed=2)
        llm.calls.clear()
        # A fork of a fork: what that one took over is taken over as well.
        third = await forked(real_runner, second.id, from_step="4", agent="analyst", text="do 4 well")
        await third.result()
        plan = await third.query("plan", result_type=Plan)
    assert asked(llm) == {"4 well": 1}
    assert llm.calls[0].system.startswith("You are an analyst")
    assert {step.step: step.agent for step in plan.steps}["4"] == "analyst"


async def test_a_step_is_done_by_another_model_of_the_same_agent(real_runner: Runner) -> None:
    # With a key, so that agents' models are what their files say; without one all are the local model.
    real_runner.settings = real_runner.settings.model_copy(update={"anthropic_api_key": SecretStr("of nobody")})
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=chain(2)))
        await first.result()
        before = llm.calls[-1]
        llm.calls.clear()
        second = await forked(real_runner, first.id, from_step="2", model="claude-haiku-4-5")
        await second.result()
        (call,) = llm.calls
        assert (call.system, call.model) == (before.system, "claude-haiku-4-5")
        assert before.model != call.model
        assert (await status_of(second)).steps[1].agent == "writer@claude-haiku-4-5"


async def test_an_edited_plan_goes_before_what_an_earlier_fork_said_of_a_step(real_runner: Runner) -> None:
    edited = [step.model_dump(mode="json") for step in chain(3).steps]
    edited[1]["agent"] = "analyst"
    async with real_runner.worker(answer):
        first = await real_runner.start(RUN, PlanRequest(plan=chain(3)))
        await first.result()
        second = await forked(real_runner, first.id, from_step="2", model="claude-haiku-4-5")
        await second.result()
        third = await forked(real_runner, second.id, edit={"plan": {"steps": edited}})
        await third.result()
        assert {row.step: row.agent for row in (await status_of(third)).steps}["2"] == "analyst"
        # What was said of a step that stays as it is goes on to hold.
        fourth = await forked(real_runner, second.id, from_step="2")
        await fourth.result()
        assert (await status_of(fourth)).steps[1].agent == "writer@claude-haiku-4-5"


async def test_a_plan_that_a_planner_made_is_not_planned_again(real_runner: Runner) -> None:
    def script(call: ModelCall) -> str:
        if call.system.startswith("You plan work"):
            return chain(3).model_dump_json()
        return answer(call)

    async with real_runner.worker(script) as llm:
        first = await real_runner.start(RUN, PlanRequest(task="write about tides"))
        await first.result()
        llm.calls.clear()
        await (await forked(real_runner, first.id, from_step="3")).result()
        assert asked(llm) == {"3": 1}
        llm.calls.clear()
        # Another task is planned anew; steps that come out the same keep their answers.
        await (await forked(real_runner, first.id, edit={"task": "do tides and moons"})).result()
        assert [call.system[:13] for call in llm.calls] == ["You plan work"]


def failing(*steps: str) -> Any:
    def script(call: ModelCall) -> str:
        if said(call) in steps:
            raise non_retryable(ErrorKind.MODEL_REFUSED, "no")
        return answer(call)

    return script


async def test_a_retry_does_what_failed_and_what_was_never_reached(real_runner: Runner) -> None:
    async with real_runner.worker(failing("3")):
        first = await real_runner.start(RUN, PlanRequest(plan=chain(5)))
        with pytest.raises(WorkflowFailureError):
            await first.result()
    async with real_runner.worker(answer) as llm:
        second = await retry(real_runner.env.client, first.id, store=real_runner.store)
        result = await second.result()
        assert asked(llm) == {"3": 1, "4": 1, "5": 1}
        assert result["state"] == RunState.COMPLETED
        assert (await status_of(second)).forked == f"{first.id}, which had not ended well"
        with pytest.raises(ForkError, match="nothing failed in run"):
            await retry(real_runner.env.client, second.id, store=real_runner.store)


async def test_a_terminated_run_is_retried_and_a_running_one_is_not(real_runner: Runner) -> None:
    confirmed = chain(3, s3=True)
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=confirmed))
        while not (await status_of(first)).gates:
            pass
        with pytest.raises(ForkError, match=r"still runs.*cancel"):
            await retry(real_runner.env.client, first.id, store=real_runner.store)
        await first.terminate()
        llm.calls.clear()
        second = await retry(real_runner.env.client, first.id, store=real_runner.store)
        while not (await status_of(second)).gates:
            pass
        await second.signal("approve", {"by": "ann"})
        await second.result()
    assert asked(llm) == {"3": 1}


async def test_an_approval_counts_for_the_answer_that_it_led_to_and_for_nothing_new(real_runner: Runner) -> None:
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=chain(3, s2=True)))
        while not (gates := (await status_of(first)).gates):
            pass
        approval = {"by": "ann", "digest": gates[0].digest}
        await first.signal("approve", approval)
        await first.result()
        llm.calls.clear()
        # Behind the gate: its answer is taken over, and nobody is asked again.
        await (await forked(real_runner, first.id, from_step="3")).result()
        assert asked(llm) == {"3": 1}
        # At the gate, and edited: the old approval names another action, and a new one is asked for.
        second = await forked(real_runner, first.id, from_step="2", text="do 2 at once")
        while not (again := (await status_of(second)).gates):
            pass
        assert again[0].digest != gates[0].digest
        await second.signal("approve", approval)
        while not [one for one in (await status_of(second)).notices if "digest" in one or "approve" in one]:
            pass
        assert (await status_of(second)).gates
        await second.signal("approve", {"by": "bob", "digest": again[0].digest})
        await second.result()
        log = await second.query("decisions", result_type=DecisionLog)
    kinds = [(record.kind, record.by) for record in log.records]
    assert [by for kind, by in kinds if kind is RecordKind.APPROVED] == ["bob"]
    assert (RecordKind.REFUSED, "ann") in kinds
    assert asked(llm)["2 at once"] == 1


async def test_outcomes_that_fill_several_messages_are_all_taken_over(
    real_runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.agents.outcomes.ANSWER_BYTES", 500)
    monkeypatch.setattr("outlast.forks.preparing.ANSWER_BYTES", 500)
    async with real_runner.worker(answer) as llm:
        first = await real_runner.start(RUN, PlanRequest(plan=chain(20)))
        await first.result()
        llm.calls.clear()
        prepared = await prepare(real_runner.env.client, real_runner.store, first.id, Wanted(from_step="20"))
        assert len(prepared.fork.outcomes) > 3
        await (await start(real_runner.env.client, prepared)).result()
    assert asked(llm) == {"20": 1}


async def test_what_makes_no_sense_is_refused(real_runner: Runner) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"from_step": "7"}, "no step '7'; its steps are 1, 2"),
        ({}, "--from-step STEP"),
        ({"agent": "analyst"}, "name it with --from-step"),
        ({"from_turn": 2}, "no session"),
        ({"edit": {"plan": {"steps": [{"step": 1}]}}}, r"the edited plan cannot be read: steps\[0\].agent"),
    ]
    async with real_runner.worker(answer):
        first = await real_runner.start(RUN, PlanRequest(plan=chain(2)))
        await first.result()
        for wanted, why in refused:
            with pytest.raises(ForkError, match=why):
                await forked(real_runner, first.id, **wanted)


async def test_what_is_gone_is_named(real_runner: Runner) -> None:
    def long(call: ModelCall) -> str:
        return answer(call) + " word" * 1000

    async with real_runner.worker(long):
        first = await real_runner.start(RUN, PlanRequest(plan=chain(3)))
        await first.result()
        rows = (await status_of(first)).steps
        assert rows[0].output is not None
        ref = rows[0].output.ref
        assert ref is not None
        (path,) = (real_runner.settings.state_dir / "content").rglob(ref)
        path.unlink()
        with pytest.raises(ForkError, match="does not hold the answer of step 1"):
            await forked(real_runner, first.id, from_step="3")
        with pytest.raises(ForkError, match=r"no run 'nobody'.*retention"):
            await forked(real_runner, "nobody", from_step="3")
