"""A run that was reset: nothing that was approved before is done again, and no decision from before counts for a new gate."""

import asyncio
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from outlast.contracts import GatePolicy, RunStatus
from outlast.errors import ErrorKind, kind_of
from tests.workflow.conftest import Runner
from tests.workflow.people.gating import QUEUE, GatedWorkflow, Job, Paid, gated, kinds, waiting, waiting_at

COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


async def reset(client: Client, handle: WorkflowHandle[Any, Any], *, to_last: bool) -> WorkflowHandle[Any, Any]:
    """Reset a run to its first or last workflow task, as `temporal workflow reset` does; returns the new run."""
    tasks = [event.event_id for event in (await handle.fetch_history()).events if event.event_type == COMPLETED]
    asked = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.first_execution_run_id or ""),
        reason="a test",
        workflow_task_finish_event_id=tasks[-2] if to_last else tasks[0],
        request_id="again",
    )
    answer = await client.workflow_service.reset_workflow_execution(asked)
    return client.get_workflow_handle(handle.id, run_id=answer.run_id, result_type=Paid)


async def approved(client: Client, name: str) -> WorkflowHandle[Any, Any]:
    handle = await client.start_workflow(
        GatedWorkflow.run, Job(policy=GatePolicy(deadline=3600)), id=f"reset-{name}", task_queue=QUEUE
    )
    (gate,) = await waiting(handle)
    await handle.signal("approve", {"by": "ann", "digest": gate.digest})
    assert (await handle.result()).paid == (5,)
    return handle


async def test_an_approval_from_before_a_reset_does_not_act_again(real_runner: Runner) -> None:
    client = real_runner.env.client
    async with gated(client):
        again = await reset(client, await approved(client, "after"), to_last=True)
        with pytest.raises(WorkflowFailureError) as caught:
            await again.result()
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.APPROVED_BEFORE_RESET


async def test_an_approval_that_stands_ends_where_the_run_is_reset(real_runner: Runner) -> None:
    client = real_runner.env.client
    job = Job(policy=GatePolicy(deadline=3600), amounts=(5, 20, 7))
    async with gated(client):
        handle = await client.start_workflow(GatedWorkflow.run, job, id="reset-standing", task_queue=QUEUE)
        await waiting(handle)
        await handle.signal("approve", {"by": "ann", "stop_asking": {"at_most": {"amount": 10}}})
        await waiting_at(handle, "gate-2")
        again = await reset(client, handle, to_last=True)
        await waiting(again)
        await again.signal("approve", {"by": "bob", "gate": "gate-2"})
        await waiting_at(again, "gate-3")
        assert "covered" not in await kinds(again)
        assert (await again.query("status", result_type=RunStatus)).standing == ()
        await again.terminate()


async def test_a_decision_that_is_delivered_again_after_a_reset_does_not_count(real_runner: Runner) -> None:
    client = real_runner.env.client
    async with gated(client):
        again = await reset(client, await approved(client, "before"), to_last=False)
        await waiting(again)
        status = await again.query("status", result_type=RunStatus)
        assert "this run was reset" in " ".join(status.notices)
        assert await kinds(again) == ["early", "opened", "refused"]
        await again.signal("approve", {"by": "bob"})
        async with asyncio.timeout(20):
            result = await again.result()
    assert (result.decisions[0].by, result.paid) == (("bob",), (5,))
