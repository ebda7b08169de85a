"""What shares a limit of its provider: the queue that calls of a class go to, and a refusal that holds other calls back."""

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from outlast.contracts import ModelFailure, PlanRequest, RunState
from outlast.errors import ErrorKind, retryable
from outlast.llm.base import ModelCall
from outlast.llm.scripted import ScriptedLLM
from outlast.plugin import OutlastPlugin
from outlast.settings import Settings
from tests.workflow.base.test_plugin import FREE
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_plan_and_execute import plan_of, step
from workflows.plan_and_execute import PlanAndExecuteWorkflow

RUN = PlanAndExecuteWorkflow.run
REFUSED_FOR = timedelta(seconds=1)
CLASSES: dict[str, Any] = {"dear": {"models": ["sonnet"], "concurrent": 2}, "unused": {}}


async def test_in_a_worker_of_somebody_else_calls_of_a_class_go_to_its_queue_and_others_stay(
    env: WorkflowEnvironment, settings: Settings
) -> None:
    """The classifier is another model's agent, and in no class."""
    own = settings.model_copy(update={"model_classes": CLASSES})
    plugin = OutlastPlugin(settings=own, llm=ScriptedLLM(lambda call: "done"))
    client = await Client.connect(env.client.service_client.config.target_host, plugins=[plugin])
    queue = uuid4().hex
    request = PlanRequest(plan=plan_of(step(1, "researcher"), step(2, "request-classifier")))
    async with Worker(client, task_queue=queue, workflows=[PlanAndExecuteWorkflow], workflow_runner=FREE):
        handle = await client.start_workflow(RUN, request, id=uuid4().hex, task_queue=queue)
        await handle.result()
    scheduled = [each.activity_task_scheduled_event_attributes for each in (await handle.fetch_history()).events]
    calls = [each for each in scheduled if each.activity_type.name == "call_model"]
    assert sorted(each.task_queue.name for each in calls) == [queue, f"{queue}-model-dear"]
    assert {each.task_queue.name for each in scheduled if each.activity_type.name == "read_catalog"} <= {queue}
    week = {each.task_queue.name: each.schedule_to_close_timeout.ToTimedelta().days for each in calls}
    assert week == {queue: 0, f"{queue}-model-dear": 7}


async def test_on_the_usual_queue_a_refusal_holds_back_the_worker_s_other_calls(real_runner: Runner) -> None:
    """The second run begins while the first one's call may not be made; its calls wait, and fail nothing."""
    made: list[float] = []

    def answer(call: ModelCall) -> Any:
        made.append(time.monotonic())
        if len(made) == 1:
            raise retryable(ErrorKind.RATE_LIMITED, "429", ModelFailure(status=429), after=REFUSED_FOR)
        return "done"

    steps: Mapping[str, Any] = {"plan": plan_of(*(step(number) for number in range(1, 6)))}
    async with real_runner.worker(answer):
        first = await real_runner.start(RUN, PlanRequest(plan=plan_of(step(1))))
        while not made:  # noqa: ASYNC110 - the model double has no event to wait for
            await asyncio.sleep(0.01)
        second = await real_runner.start(RUN, PlanRequest(**steps))
        results = [await first.result(), await second.result()]
    assert [result.state for result in results] == [RunState.COMPLETED] * 2
    assert len(made) == 7
    assert min(made[1:]) >= made[0] + REFUSED_FOR.total_seconds()
