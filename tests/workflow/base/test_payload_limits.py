"""A message that history cannot hold fails the run with a typed error at each place where it can arise; nothing hangs."""

from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from outlast.client import data_converter
from outlast.contracts import PlanRequest
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.scripted import ScriptedLLM
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_plan_and_execute import plan_of, scripted, step
from worker import working
from workflows.plan_and_execute import PlanAndExecuteWorkflow

WIDE = [step(n) for n in range(40)]


def limited(runner: Runner, limit: int) -> Client:
    return Client(
        runner.env.client.service_client, namespace=runner.env.client.namespace, data_converter=data_converter(limit)
    )


@pytest.mark.parametrize(
    ("limit", "plan", "script", "named"),
    [
        # The catalog, an activity's result, is the first thing over this limit.
        (400, plan_of(step(1)), scripted(), "Catalog"),
        (8000, plan_of(step(1, do="x" * 9000)), scripted(), "ModelRequest.messages[0].parts[0].text"),
        (8000, plan_of(*WIDE), scripted(steps=lambda call: "word " * 150), "PlanResult.answers"),
    ],
    ids=["an activity's result", "an activity's input", "the run's result"],
)
async def test_a_payload_over_the_limit_fails_the_run(
    runner: Runner, limit: int, plan: Any, script: Any, named: str
) -> None:
    async with working(limited(runner, limit), runner.settings, ScriptedLLM(script)):
        handle = await runner.start(PlanAndExecuteWorkflow.run, PlanRequest(plan=plan))
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert kind_of(failure.value.cause) is ErrorKind.PAYLOAD_TOO_LARGE
    assert named in text_of(failure.value.cause)
