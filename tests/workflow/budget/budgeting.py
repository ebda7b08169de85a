"""Runs with a budget: agents whose calls cost what they may cost at most, fan-outs of them, and people who decide on more."""

import asyncio
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHandle

from outlast.contracts import (
    Budget,
    BudgetShown,
    DecisionLog,
    GateView,
    ModelFailure,
    Plan,
    PlanRequest,
    PlanStep,
    RunStatus,
    StopReason,
    Usage,
)
from outlast.errors import ErrorKind, retryable
from outlast.llm.base import ModelCall, ModelReply
from tests.workflow.conftest import Runner, with_agents

DEAR = "model: sonnet\nmax_tokens: 1000"
COST = 0.1702
"""USD of one call below: 100 tokens in for 2 USD a million, and all of its 17,000 tokens out for 10."""
WORST = 0.18
"""USD that a call below may cost at most, rounded up."""
LIMIT = 6 * COST + WORST
FITS_SEVEN = Budget(usd=LIMIT)


def priced(runner: Runner, directory: Path, **agents: str) -> Runner:
    """Give the runner agents on models that have a price."""
    settings = runner.settings.model_copy(update={"anthropic_base_url": "http://unused.invalid"})
    return with_agents(Runner(runner.env, settings, runner.store), directory, agents or {"a": DEAR})


def dear(call: ModelCall) -> ModelReply:
    usage = Usage(input_tokens=100, output_tokens=call.max_tokens)
    return ModelReply("Said.", StopReason.END_TURN, usage, call.model)


def breaking_once() -> Any:
    """Break off in the middle of the first call, after it was paid, and answer then."""
    broken: list[ModelCall] = []

    def script(call: ModelCall) -> ModelReply:
        if not broken:
            broken.append(call)
            failure = ModelFailure(model=call.model, usage=Usage(input_tokens=100, output_tokens=17))
            raise retryable(ErrorKind.MODEL_UNAVAILABLE, "the stream broke off", failure)
        return dear(call)

    return script


def fan_out(width: int, budget: Budget | None, **fields: Any) -> PlanRequest:
    """Ask agent `a` many things at once."""
    steps = tuple(PlanStep(step=str(number), agent="a", input=f"Question {number}?") for number in range(1, width + 1))
    return PlanRequest(**{"plan": Plan(steps=steps), "max_parallel": width, "budget": budget} | fields)


def chain(length: int, budget: Budget | None, **fields: Any) -> PlanRequest:
    """Ask agent `a` one thing after the other."""
    steps = tuple(
        PlanStep(step=str(n), agent="a", input=f"Question {n}?", depends_on=(str(n - 1),) if n > 1 else ())
        for n in range(1, length + 1)
    )
    return PlanRequest(plan=Plan(steps=steps), budget=budget, **fields)


def writers(length: int) -> Plan:
    """Ask the project's own writer, on the local model, one thing after the other."""
    plan = chain(length, None).plan
    assert plan is not None
    return Plan(steps=tuple(step.model_copy(update={"agent": "writer"}) for step in plan.steps))


async def gate_of(handle: WorkflowHandle[Any, Any]) -> GateView:
    """Wait until a run waits for people."""
    async with asyncio.timeout(60):
        while True:
            status = await status_of(handle)
            if status.gates:
                return status.gates[0]
            await asyncio.sleep(0.05)


async def status_of(handle: WorkflowHandle[Any, Any]) -> RunStatus:
    status: RunStatus = await handle.query("status", result_type=RunStatus)
    return status


async def budget_of(handle: WorkflowHandle[Any, Any]) -> BudgetShown:
    shown = (await status_of(handle)).budget
    assert shown is not None
    return shown


async def kinds_of(handle: WorkflowHandle[Any, Any]) -> list[str]:
    log = await handle.query("decisions", result_type=DecisionLog)
    return [str(record.kind) for record in log.records]
