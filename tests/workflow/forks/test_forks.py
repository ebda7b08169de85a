"""Forks and retries on the real server: what is taken over is not asked again, what was edited is, and no effect is repeated."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from outlast.contracts import (
    DecisionLog,
    Plan,
    PlanRequest,
    PlanStep,
    RunState,
    RunStatus,
    StepState,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.forks.forking import Wanted, fork, prepare, retry, start
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
    return re.findall(r"do [\w ]+", call.messages[-1][1])[0].removeprefix("do ")


def asked(llm: ScriptedLLM) -> Counter[str]:
    return Counter(said(call) for call in llm.calls)


async def forked(runner: Runner, run: str, **wanted: Any) -> WorkflowHandle[Any, Any]:
    return await fork(runner.env.client, run, store=runner.store, **wanted)


async def status_of(handle: WorkflowHandle[Any, Any]) -> RunStatus:
    return await handle.query("status", result_type=RunStatus)


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
    memo = await (await second.describe()).memo()
    assert memo["forked_from"]["run"] == first.id
