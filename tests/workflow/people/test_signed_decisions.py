"""Where decisions must be signed, only those count that prove who sent them; the secret never enters history."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from outlast.approvals.identity_activities import GateTermsActivities
from outlast.approvals.tokens import decided, granted
from outlast.contracts import GateOutcome, GatePolicy, GateRecord, GateTerms, GateTermsRequest, RecordKind, Risk
from tests.workflow.people.gating import GatedWorkflow, Job, gated, next_part, start, waiting

SECRET = "a-secret-of-this-deployment-only-0123456789"


def grant(who: str, lasts: timedelta = timedelta(hours=8), **bounds: str) -> str:
    return granted(SECRET, who, datetime.now(UTC), lasts, **bounds)


async def test_only_signed_decisions_count_each_once(env: WorkflowEnvironment) -> None:
    with env.auto_time_skipping_disabled():
        async with gated(env, SECRET, max_cached_workflows=0):
            handle = await start(env, Job(policy=GatePolicy(needed=2, deadline=3600)))
            (gate,) = await waiting(handle)
            assert gate.signed

            async def refused(**fields: Any) -> str:
                with pytest.raises(WorkflowUpdateFailedError) as caught:
                    await handle.execute_update("decide", {"verdict": "approve", **fields})
                return str(caught.value.cause)

            def signed(who: str) -> str:
                bounds = {"run": handle.id, "gate": "gate-1", "digest": gate.digest, "verdict": "approve"}
                return decided(grant(who), **bounds, chain=str(handle.first_execution_run_id))

            anns = signed("ann")
            assert "carries no signed token" in await refused(by="ann")
            assert "is for signing in" in await refused(token=grant("ann"))
            late = grant("ann", timedelta(hours=-1), run=handle.id, gate="gate-1", chain="any")
            assert "expired" in await refused(token=late)
            assert "is for signing in" in await refused(token=grant("ann", run=handle.id, gate="gate-1"))
            earlier = grant("ann", run=handle.id, gate="gate-1", chain="an-earlier-run")
            assert "another run of the id" in await refused(token=earlier)
            # The name is the token's, whatever the message says.
            sent = {"verdict": "approve", "by": "bob", "token": anns}
            counted = await handle.execute_update("decide", sent, result_type=GateRecord)
            assert (counted.kind, counted.by, counted.verified) == (RecordKind.COUNTED, "ann", True)
            assert "is for other arguments" in await refused(token=anns, edit={"amount": 6})
            again = await handle.execute_update("decide", sent, result_type=GateRecord)
            assert again.kind is RecordKind.DUPLICATE
            # Signals are checked one after the other, in the order in which they came.
            await handle.signal("approve", {"by": "carl"})
            await handle.signal("approve", {"token": signed("dora")})
            result = await handle.result()
            log = await handle.query(GatedWorkflow.decisions)
    assert result.decisions[0].by == ("ann", "dora")
    assert result.paid == (5,)
    kinds = [(record.kind, record.by, record.verified) for record in log.records]
    assert anns not in log.model_dump_json()
    assert kinds[-2:] == [(RecordKind.REFUSED, "carl", False), (RecordKind.APPROVED, "dora", True)]
    assert SECRET not in (await handle.fetch_history()).to_json()


async def test_a_decision_before_its_gate_is_held_to_the_terms_that_are_learned_later(env: WorkflowEnvironment) -> None:
    with env.auto_time_skipping_disabled():
        async with gated(env, SECRET):
            handle = await start(env, Job(waits=True, risk=Risk.LOW, policy=GatePolicy(needed=2, deadline=3600)))
            await handle.signal("approve", {"by": "mallory"})
            chain = str(handle.first_execution_run_id)
            await handle.signal("approve", {"token": grant("ann", run=handle.id, gate="gate-1", chain=chain)})
            await handle.signal("begin")
            await waiting(handle)
            async with asyncio.timeout(10):
                while not (found := (await waiting(handle))[0]).approved_by:  # noqa: ASYNC110 - a query has no event
                    await asyncio.sleep(0.05)
            assert found.approved_by == ("ann",)
            await handle.terminate()


async def test_a_gate_that_was_left_open_takes_nothing_unsigned_in_the_next_part_of_the_run(
    env: WorkflowEnvironment,
) -> None:
    known = asyncio.Event()
    known.set()

    class Slow(GateTermsActivities):
        @activity.defn
        async def gate_terms(self, request: GateTermsRequest) -> GateTerms:
            await known.wait()
            return await super().gate_terms(request)

    with env.auto_time_skipping_disabled():
        async with gated(env, terms=Slow(SECRET)):
            handle = await start(env, Job(policy=GatePolicy(deadline=3600), rolls=True))
            (gate,) = await waiting(handle)
            known.clear()
            await handle.signal("roll")
            latest = await next_part(env, handle)
            # This comes before the gate is taken up again, where nothing is known of the deployment yet.
            await latest.signal("approve", {"by": "mallory", "gate": "gate-1"})
            known.set()
            bounds = {"run": latest.id, "gate": "gate-1", "digest": gate.digest, "verdict": "approve"}
            token = decided(grant("ann"), **bounds, chain=str(handle.first_execution_run_id))
            await latest.signal("approve", {"token": token})
            result = await latest.result()
    assert [(one.by, one.outcome) for one in result.decisions] == [(("ann",), GateOutcome.APPROVED)]
