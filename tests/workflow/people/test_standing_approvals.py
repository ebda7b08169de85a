"""Approvals that stand for the run, in a running workflow: they go along, cover exactly the call made, and are revoked."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from outlast.cli.decisions.listing import gates_of
from outlast.cli.reaching import Reach
from outlast.cli.recorded.decisions import audit_run
from outlast.client import Settings
from outlast.contracts import GatePolicy, GateRecord, RunStatus
from tests.workflow.people.gating import Job, Paid, gated, kinds, start, waiting, waiting_at


async def next_part(env: WorkflowEnvironment, handle: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
    """Wait until a run has continued as new."""
    latest: WorkflowHandle[Any, Any] = env.client.get_workflow_handle(handle.id, result_type=Paid)
    async with asyncio.timeout(30):
        while (await latest.describe()).run_id == handle.first_execution_run_id:  # noqa: ASYNC110  no event for it
            await asyncio.sleep(0.05)
    return latest


async def test_an_approval_that_stands_goes_along_and_covers_each_call_with_its_own_digest(
    env: WorkflowEnvironment, settings: Settings
) -> None:
    policy = GatePolicy(deadline=3600)
    async with gated(env, max_cached_workflows=0):
        handle = await start(env, Job(policy=policy, rolls=True, amounts=(5, 20, 7, 8)))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            bounds = {"at_most": {"amount": 10}}
            await handle.signal("approve", {"by": "ann", "gate": "gate-1", "stop_asking": {"at_most": {"amout": 10}}})
            await handle.signal("approve", {"by": "ann", "gate": "gate-1", "stop_asking": bounds})
            await waiting_at(handle, "gate-2")
            (standing,) = (await gates_of(await handle.describe())).standing
            await handle.signal("roll")
            latest = await next_part(env, handle)
            await waiting(latest)
            status = await latest.query("status", result_type=RunStatus)
            assert status.standing == (standing,)
            assert (
                standing.description
                == "approved by ann for this run (every call of pay with amount at most 10; gate-1)"
            )
            await latest.signal("approve", {"by": "bob"})
            result = await latest.result()
        assert result.paid == (20, 7, 8)  # what the last part did
        assert [one.by for one in result.decisions] == [("ann",), ("bob",), ("ann",), ("ann",)]
        assert [one.standing != "" for one in result.decisions] == [False, False, True, True]
        assert len({one.approval.digest for one in result.decisions if one.approval}) == 4
        found = ["opened", "refused", "approved", "opened", "approved", "covered", "covered"]
        assert await kinds(latest) == found
        audit = await audit_run(Reach(settings, env.client), await latest.describe())
        assert (audit.problems, [record.kind for record in audit.records]) == ((), found)


async def test_a_revoked_approval_covers_nothing_more(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(deadline=3600), rolls=True, amounts=(5, 20, 7)))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            stand = {"verdict": "approve", "by": "ann", "stop_asking": {"at_most": {"amount": 10}}}
            record = await handle.execute_update("decide", stand, result_type=GateRecord)
            assert record.standing == "every call of pay with amount at most 10"
            await waiting_at(handle, "gate-2")
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await handle.execute_update("decide", {"verdict": "revoke", "gate": "gate-9", "by": "bob"})
            assert "the approval of 'gate-9' does not stand for the run; there is gate-1" in str(caught.value.cause)
            await handle.execute_update("decide", {"verdict": "revoke", "by": "bob"})
            await handle.signal("approve", {"by": "ann", "gate": "gate-2"})
            await waiting_at(handle, "gate-3")
            await handle.signal("approve", {"by": "ann", "gate": "gate-3"})
            result = await handle.result()
        assert [one.gate for one in result.decisions] == ["gate-1", "gate-2", "gate-3"]
        assert (await kinds(handle))[:5] == ["opened", "approved", "opened", "refused", "revoked"]
