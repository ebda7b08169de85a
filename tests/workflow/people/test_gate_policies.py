"""What the policy of a gate decides: how long people have, how many must approve, who is asked when nobody answers."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from outlast.contracts import GateOutcome, GatePolicy, OnTimeout
from outlast.errors import ErrorKind, kind_of
from tests.workflow.people.gating import GatedWorkflow, Job, decided, gated, kinds, log_of, start

APPROVED, DENIED, TIMED_OUT = GateOutcome.APPROVED, GateOutcome.DENIED, GateOutcome.TIMED_OUT


@pytest.mark.parametrize(("days", "seconds"), [(0, 300), (3, 0), (30, 0)], ids=["5 minutes", "3 days", "30 days"])
async def test_silence_is_a_no_at_the_deadline(env: WorkflowEnvironment, days: int, seconds: int) -> None:
    length = timedelta(days=days, seconds=seconds)
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(deadline=length.total_seconds())))
        result = await handle.result()
        log = await log_of(handle)
        history = await handle.fetch_history()
    assert (result.decisions[0].outcome, result.paid) == (TIMED_OUT, ())
    opened, ended = log.records
    assert length <= ended.when - opened.when < length + timedelta(seconds=5)
    timers = [event for event in history.events if event.HasField("timer_started_event_attributes")]
    assert len(timers) == 1
    assert b"Pay the bill" in timers[-1].user_metadata.summary.data


async def test_a_decision_after_the_deadline_changes_nothing_and_is_recorded(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(gates=2, policy=GatePolicy(deadline=60)))
        await env.sleep(90)
        await handle.signal("approve", {"gate": "gate-1", "by": "alice"})
        await handle.signal("approve", {"by": "alice"})
        result = await handle.result()
        recorded = await kinds(handle)
        status = await handle.query(GatedWorkflow.status)
    assert [decision.outcome for decision in result.decisions] == [TIMED_OUT, APPROVED]
    assert recorded == ["opened", "timed out", "opened", "late", "approved"]
    assert status.notices == ("gate-1 approve by alice is late: the gate was timed out already",)


async def test_two_of_three_must_approve_and_the_requester_is_none_of_them(env: WorkflowEnvironment) -> None:
    policy = GatePolicy(needed=2, eligible=("Ann", "Bob", "Cem"))
    sent = [("approve", name) for name in ("Ann", "Eve", "bob", "Bob", "Cem")]
    result, recorded = await decided(env, Job(policy=policy, requester="Ann"), *sent)
    assert (result.paid, result.decisions[0].by) == ((5,), ("bob", "Cem"))
    assert recorded == ["opened", "refused", "unreadable", "counted", "duplicate", "approved"]


async def test_a_policy_may_halt_the_whole_run(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(on_timeout=OnTimeout.HALT)))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert await kinds(handle) == ["opened", "halted"]
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.HALTED


async def test_people_are_reminded_and_others_asked(env: WorkflowEnvironment) -> None:
    policy = GatePolicy(
        eligible=("nobody",), remind_every=100, escalate_after=150, escalate_to=("Boss",), on_timeout=OnTimeout.ESCALATE
    )
    async with gated(env):
        handle = await start(env, Job(policy=policy))
        result = await handle.result()
        log = await log_of(handle)
        status = await handle.query(GatedWorkflow.status)
    assert result.told == (
        "opened to nobody", "reminded to nobody", "escalated to Boss", "reminded to nobody, Boss",
        "escalated to Boss", *["reminded to nobody, Boss"] * 3, "timed out to nobody, Boss",
    )  # fmt: skip
    start_time = log.records[0].when
    # What the machine takes itself comes on top of the time that is skipped.
    assert [(record.when - start_time).total_seconds() for record in log.records] == pytest.approx(
        [0, 100, 150, 200, 300, 300, 400, 500, 600], abs=10
    )
    assert status.notices == ("people could not be notified that gate-1 is opened: nobody hears",)


async def test_a_gate_that_nobody_could_approve_fails_the_run_with_the_reason(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(eligible=("Ann",)), requester="ann"))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert "policy.needed" in str(caught.value.cause)
