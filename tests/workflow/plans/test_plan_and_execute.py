"""The planner's paths, each on the real server with real activities and a scripted model."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.contracts import (
    OnStepFailure,
    Plan,
    PlanReport,
    PlanRequest,
    PlanResult,
    PlanStep,
    RunState,
    StepState,
    StopReason,
    Usage,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.conftest import Runner
from workflows.plan_and_execute import PlanAndExecuteWorkflow

RUN = PlanAndExecuteWorkflow.run


def step(name: Any, agent: str = "writer", do: str = "", depends_on: Sequence[Any] = ()) -> dict[str, Any]:
    return {"step": name, "agent": agent, "input": do or f"do {name}", "depends_on": list(depends_on)}


def plan_json(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": steps})


def plan_of(*steps: dict[str, Any]) -> Plan:
    return Plan.model_validate({"steps": steps})


def is_planner(call: ModelCall) -> bool:
    return call.system.startswith("You plan work")


def said(call: ModelCall) -> str:
    return call.messages[-1][1]


def scripted(*plans: str, steps: Any = None) -> Any:
    """Answer the planner with each plan in turn, and every step with its input's first word and number."""
    left = list(plans)

    def answer(call: ModelCall) -> Any:
        if is_planner(call):
            return left.pop(0)
        if steps is not None:
            return steps(call)
        return "result of " + " ".join(re.findall(r"do (\w+)", said(call)))

    return answer


async def report_of(runner: Runner, result: PlanResult) -> PlanReport:
    return PlanReport.model_validate_json(await runner.text(result.report))


async def test_a_generated_plan_runs_as_a_graph(runner: Runner) -> None:
    plan = plan_json(step(1), step(2, "researcher", depends_on=[1]), step("3", depends_on=[1, "2"]))
    result, llm = await runner.run(scripted(plan), RUN, PlanRequest(task="write about tides"))
    assert result.state is RunState.COMPLETED
    assert [answer.step for answer in result.answers] == ["3"]
    last = llm.calls[-1].messages[0][1]
    assert last.startswith("do 3")
    assert '<part label="step 1">\nresult of 1\n</part>' in last
    assert '<part label="step 2">' in last
    report = await report_of(runner, result)
    assert report.shape.critical_path == ("1", "2", "3")
    assert [row.state for row in report.steps] == [StepState.DONE] * 3
    assert len(report.trace.calls) == 4
    assert result.spend.calls == 4
    assert result.spend.output_tokens == sum(call.spend.output_tokens for call in report.trace.calls)


async def test_independent_steps_run_at_the_same_time(runner: Runner) -> None:
    import asyncio

    together = asyncio.Barrier(3)

    async def meet(call: ModelCall) -> str:
        await asyncio.wait_for(together.wait(), 10)
        return "met"

    plan = plan_of(step(1), step(2), step(3))
    result, _ = await runner.run(lambda call: meet(call), RUN, PlanRequest(plan=plan))
    assert result.done == 3


async def test_small_repairs_are_made_without_the_planner_and_recorded(runner: Runner) -> None:
    plan = plan_json(step(2, "Writer Agent", depends_on=[1, 1]), step(1, "RESEARCHER"))
    result, llm = await runner.run(scripted(plan), RUN, PlanRequest(task="t"))
    assert sum(map(is_planner, llm.calls)) == 1
    changes = (await report_of(runner, result)).changes
    assert {change.stage for change in changes} == {"deterministic"}
    assert len(changes) == 4
    assert result.changes == 4


async def test_problems_go_back_to_the_planner(runner: Runner) -> None:
    bad = plan_json(step(1, depends_on=[2]), step(2, depends_on=[1]))
    result, llm = await runner.run(scripted(bad, plan_json(step(1))), RUN, PlanRequest(task="t"))
    assert result.done == 1
    second = [call for call in llm.calls if is_planner(call)][1]
    assert "1 → 2 → 1" in said(second)
    changes = (await report_of(runner, result)).changes
    assert [change.stage for change in changes] == ["planner"]


async def test_a_planner_that_never_gets_it_right_is_replaced_by_the_fallback_plan(runner: Runner) -> None:
    bad = plan_json(step(1, "nobody"))
    result, llm = await runner.run(scripted(bad, bad, bad), RUN, PlanRequest(task="boil an egg"))
    assert sum(map(is_planner, llm.calls)) == 3
    report = await report_of(runner, result)
    assert report.changes[-1].stage == "fallback"
    assert [s.agent for s in report.plan.steps] == ["generalist"]
    assert said(llm.calls[-1]) == "boil an egg"


async def test_a_named_fallback_plan_is_used_when_the_planner_fails(runner: Runner) -> None:
    def broken(call: ModelCall) -> str:
        if is_planner(call):
            raise non_retryable(ErrorKind.MODEL_REJECTED, "no planner today")
        return "fine"

    request = PlanRequest(task="t", fallback_plan=plan_of(step("a"), step("b", depends_on=["a"])))
    result, _ = await runner.run(broken, RUN, request)
    report = await report_of(runner, result)
    assert [s.step for s in report.plan.steps] == ["a", "b"]
    assert "no planner today" in report.changes[0].change


async def test_a_persons_invalid_plan_is_refused_with_every_problem(runner: Runner) -> None:
    plan = plan_of(step(1, "nobody"), step(2, do=" ", depends_on=[9]))
    with pytest.raises(WorkflowFailureError) as failure:
        await runner.run(lambda call: "never", RUN, PlanRequest(plan=plan))
    cause = failure.value.cause
    assert kind_of(cause) is ErrorKind.PLAN_INVALID
    assert all(problem in text_of(cause) for problem in ("'nobody'", "input is empty", "step 9, which does not exist"))


async def test_an_agent_that_is_not_there_is_refused_before_anything_is_paid(runner: Runner) -> None:
    request = PlanRequest(task="t", agents=("writer", "nope"))
    async with runner.worker(lambda call: "never") as llm:
        handle = await runner.start(RUN, request)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert kind_of(failure.value.cause) is ErrorKind.UNKNOWN_AGENT
    assert "there is no nope; choose from academic-researcher, analyst" in text_of(failure.value.cause)
    assert llm.calls == []


async def test_dry_run_executes_nothing(runner: Runner) -> None:
    plan = plan_of(step(1), step(2), step(3, depends_on=[1, 2]))
    result, llm = await runner.run(lambda call: "never", RUN, PlanRequest(plan=plan, dry_run=True))
    assert llm.calls == []
    report = await report_of(runner, result)
    assert report.shape.waves == (("1", "2"), ("3",))


def failing(name: str) -> Any:
    def answer(call: ModelCall) -> str:
        if f"do {name}" in call.messages[0][1].splitlines()[0]:
            raise non_retryable(ErrorKind.MODEL_REJECTED, f"cannot do {name}")
        return "ok"

    return answer


BRANCHES = plan_of(step(1), step(2), step(3, depends_on=[1]), step(4, depends_on=[2]))


async def test_a_failed_step_skips_its_dependents_and_others_finish(runner: Runner) -> None:
    result, _ = await runner.run(failing("1"), RUN, PlanRequest(plan=BRANCHES))
    assert result.state is RunState.PARTIAL
    assert (result.done, result.failed, result.skipped) == (2, 1, 1)
    rows = {row.step: row for row in (await report_of(runner, result)).steps}
    assert rows["3"].state is StepState.SKIPPED
    assert "step 1 failed" in rows["3"].note
    assert "cannot do 1" in rows["1"].note


async def test_fail_fast_fails_the_run_with_the_typed_cause_and_the_record(runner: Runner) -> None:
    request = PlanRequest(plan=plan_of(step(1), step(2, depends_on=[1])), on_step_failure=OnStepFailure.FAIL_FAST)
    with pytest.raises(WorkflowFailureError) as failure:
        await runner.run(failing("1"), RUN, request)
    cause: Any = failure.value.cause
    assert kind_of(cause) is ErrorKind.MODEL_REJECTED
    assert PlanResult.model_validate(cause.details[0]).failed == 1


async def test_replan_keeps_finished_steps_and_finds_another_way(runner: Runner) -> None:
    first = plan_json(step(1), step(2, depends_on=[1]))
    second = plan_json(step(3, "researcher", depends_on=[1]))
    script = scripted(first, second, steps=failing("2"))
    request = PlanRequest(task="t", on_step_failure=OnStepFailure.REPLAN)
    result, llm = await runner.run(script, RUN, request)
    assert result.state is RunState.COMPLETED
    replanning = [call for call in llm.calls if is_planner(call)][1]
    assert "cannot do 2" in said(replanning)
    assert '<part label="step 1">' in said(replanning)
    assert sum(said(call).startswith("do 1") for call in llm.calls) == 1
    report = await report_of(runner, result)
    assert [s.step for s in report.plan.steps] == ["1", "3"]


async def test_a_new_plan_may_not_reuse_the_number_of_a_finished_step(runner: Runner) -> None:
    first = plan_json(step(1), step(2, depends_on=[1]))
    reusing = plan_json(step(1, do="do another 1"), step(3, depends_on=[1]))
    script = scripted(first, reusing, plan_json(step(3, depends_on=[1])), steps=failing("2"))
    result, llm = await runner.run(script, RUN, PlanRequest(task="t", on_step_failure=OnStepFailure.REPLAN))
    assert result.state is RunState.COMPLETED
    assert "step 1 is finished already" in said([call for call in llm.calls if is_planner(call)][2])


async def test_replanning_is_bounded(runner: Runner) -> None:
    plans = [plan_json(step(n)) for n in (1, 2, 3)]

    def always_fails(call: ModelCall) -> str:
        raise non_retryable(ErrorKind.MODEL_REJECTED, "no")

    request = PlanRequest(task="t", on_step_failure=OnStepFailure.REPLAN)
    with pytest.raises(WorkflowFailureError):
        await runner.run(scripted(*plans, steps=always_fails), RUN, request)


async def test_an_answer_that_breaks_its_schema_goes_back_and_fallback_agents_are_asked(runner: Runner) -> None:
    def refuses(call: ModelCall) -> Any:
        if call.system.startswith("You are a writer"):
            return ModelReply("", StopReason.REFUSAL, Usage(input_tokens=5), call.model)
        return "from the generalist"

    result, _ = await runner.run(refuses, RUN, PlanRequest(plan=plan_of(step(1))))
    report = await report_of(runner, result)
    assert "ModelRefused" in report.steps[0].note
    assert "generalist was asked" in report.steps[0].note
    assert result.spend.calls == 2


async def test_a_prompt_that_is_too_long_is_compacted_and_says_so(runner: Runner) -> None:
    def narrow(call: ModelCall) -> str:
        size = sum(len(text) for _, text in call.messages)
        if size > 20_000:
            raise non_retryable(ErrorKind.CONTEXT_EXCEEDED, "prompt is too long")
        return "long " * 8000 if said(call).startswith("do 1") else f"saw {size}"

    plan = plan_of(step(1), step(2, depends_on=[1]))
    result, _ = await runner.run(narrow, RUN, PlanRequest(plan=plan))
    rows = (await report_of(runner, result)).steps
    assert result.state is RunState.COMPLETED
    assert "context cut to" in rows[1].note


async def test_a_cut_off_answer_is_continued(runner: Runner) -> None:
    runner.settings = runner.settings.model_copy(update={"anthropic_base_url": "http://unused.invalid"})

    def cut(call: ModelCall) -> ModelReply:
        first = len(call.messages) == 1
        reason = StopReason.MAX_TOKENS if first else StopReason.END_TURN
        return ModelReply("one " if first else "two", reason, Usage(output_tokens=1), call.model)

    result, llm = await runner.run(cut, RUN, PlanRequest(plan=plan_of(step(1))))
    assert await runner.text(result.answers[0].content) == "one two"
    assert llm.calls[1].messages[1] == ("assistant", "one ")


async def test_a_plan_too_large_for_history_fails_with_the_field_named(runner: Runner) -> None:
    from temporalio.exceptions import ApplicationError

    plan = plan_of(step(1, do="x" * 600_000))
    with pytest.raises(ApplicationError) as refused:
        await runner.start(RUN, PlanRequest(plan=plan))
    assert refused.value.type == ErrorKind.PAYLOAD_TOO_LARGE
    assert "steps[0].input" in str(refused.value)


async def test_status_and_trace_answer_while_and_after_the_run(runner: Runner) -> None:
    plan = PlanStep(step="1", agent="writer", input="do 1")
    async with runner.worker(lambda call: "ok"):
        handle = await runner.start(RUN, PlanRequest(plan=Plan(steps=(plan,))))
        await handle.result()
        status = await handle.query(PlanAndExecuteWorkflow.status)
        trace = await handle.query(PlanAndExecuteWorkflow.trace_query)
    assert status.state is RunState.COMPLETED
    assert status.steps[0].output is not None
    assert status.steps[0].output.text == "ok"
    assert trace.calls[0].output == "ok"
    assert trace.calls[0].input == "do 1"
