"""Gates in a running workflow: every order of messages, every policy, junk to every handler; what was not approved never runs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from activities.contracts import Risk
from activities.errors import ErrorKind, kind_of
from tests.workflow.gating import GatedWorkflow, Job, Paid, gated, start, waiting
from workflows.contracts import DecisionLog, GateOutcome, GatePolicy, GateRecord, GatesShown, OnTimeout, breaks

APPROVED, DENIED, TIMED_OUT = GateOutcome.APPROVED, GateOutcome.DENIED, GateOutcome.TIMED_OUT
JUNK: Sequence[Sequence[Any]] = [
    [1, 2, 3],
    [{"verdct": "deny"}],
    [[]],
    [3.5],
    [b"\xff\x00"],
    [{"by": {"x": 1}}],
    ['{"by"'],
]


async def log_of(handle: WorkflowHandle[Any, Any]) -> DecisionLog:
    log = await handle.query(GatedWorkflow.decisions)
    assert breaks(log.records) == ()
    return log


async def kinds(handle: WorkflowHandle[Any, Any]) -> list[str]:
    return [str(record.kind) for record in (await log_of(handle)).records]


async def decided(env: WorkflowEnvironment, job: Job, *sent: tuple[str, Any], **options: Any) -> tuple[Paid, list[str]]:
    """Open the gate of a job, send signals one after the other, and return the result and what was recorded."""
    async with gated(env, **options):
        handle = await start(env, job)
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            for name, value in sent:
                await handle.signal(name, args=[] if value is None else [value])
            result: Paid = await handle.result()
        return result, await kinds(handle)


@pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "replayed"])
@pytest.mark.parametrize(
    ("sent", "outcome", "by"),
    [
        ([("approve", None)], APPROVED, "somebody"),
        ([("approve", "alice")], APPROVED, "alice"),
        ([("approve", {"by": "alice", "reason": "fine"})], APPROVED, "alice"),
        ([("approve", b'{"by": "alice"}')], APPROVED, "alice"),
        ([("approve", '{"gate": "gate-1", "by": "alice"}')], APPROVED, "alice"),
        ([("approve", False)], DENIED, "somebody"),
        ([("decide", "yes")], APPROVED, "somebody"),
        ([("decide", {"approved": True, "by": "alice"})], APPROVED, "alice"),
        ([("decide", {"verdict": "deny", "by": "bob"})], DENIED, "bob"),
        ([("deny", "bob")], DENIED, "bob"),
        ([("deny", None)], DENIED, "somebody"),
        ([("decide", "who knows"), ("deny", {"approved": True}), ("approve", "alice")], APPROVED, "alice"),
    ],
)
async def test_a_person_decides(
    env: WorkflowEnvironment, sent: list[tuple[str, Any]], outcome: GateOutcome, by: str, cached: int
) -> None:
    result, recorded = await decided(env, Job(), *sent, max_cached_workflows=cached)
    assert (result.decisions[0].outcome, result.decisions[0].by) == (outcome, (by,))
    assert result.paid == ((5,) if outcome is APPROVED else ())
    assert recorded == ["opened", *(["unreadable"] * (len(sent) - 1)), str(outcome)]


@pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "replayed"])
@pytest.mark.parametrize(
    ("early", "outcome"),
    [
        ([("approve", "alice")], APPROVED),
        ([("deny", "alice")], DENIED),
        ([("decide", {"verdict": "deny", "gate": "gate-1"}), ("approve", None)], DENIED),
        ([("approve", "alice"), ("approve", "alice"), ("deny", "bob")], APPROVED),
    ],
)
async def test_decisions_that_come_before_the_gate_opens_are_kept(
    env: WorkflowEnvironment, early: list[tuple[str, Any]], outcome: GateOutcome, cached: int
) -> None:
    async with gated(env, max_cached_workflows=cached):
        handle = await start(env, Job(waits=True), start_signal=early[0][0], start_signal_args=[early[0][1]])
        for name, value in early[1:]:
            await handle.signal(name, value)
        await handle.signal("begin")
        result = await handle.result()
        recorded = await kinds(handle)
    assert result.decisions[0].outcome is outcome
    assert recorded[: len(early) + 1] == ["early"] * len(early) + ["opened"]
    assert str(outcome) in recorded


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
    assert len(timers) == 2
    assert b"Pay the bill" in timers[-1].user_metadata.summary.data


async def test_a_decision_after_the_deadline_changes_nothing_and_is_recorded(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(gates=2, policy=GatePolicy(deadline=60)))
        await env.sleep(90)
        await handle.signal("approve", {"gate": "gate-1", "by": "alice"})
        await handle.signal("approve", "alice")
        result = await handle.result()
        recorded = await kinds(handle)
        status = await handle.query(GatedWorkflow.status)
    assert [decision.outcome for decision in result.decisions] == [TIMED_OUT, APPROVED]
    assert recorded == ["opened", "timed out", "opened", "late", "approved"]
    assert status.notices == ("gate-1 approve by alice is late: the gate was timed out already",)


@pytest.mark.parametrize("first", ["approve", "deny"])
async def test_of_two_at_once_one_wins_and_the_other_is_late(env: WorkflowEnvironment, first: str) -> None:
    other = "deny" if first == "approve" else "approve"
    async with gated(env, max_cached_workflows=0):
        handle = await start(env, Job(policy=GatePolicy(deadline=3600)))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
    # Without a worker both are in history before anybody looks: they reach the run in one task.
    await handle.signal(first, "alice")
    await handle.signal(other, "bob")
    async with gated(env):
        result = await handle.result()
        assert await kinds(handle) == ["opened", "approved" if first == "approve" else "denied", "late"]
    assert result.paid == ((5,) if first == "approve" else ())


async def test_a_wrong_gate_a_wrong_digest_and_another_runs_id_do_not_approve(env: WorkflowEnvironment) -> None:
    async with gated(env):
        one, other = await start(env, Job()), await start(env, Job(amount=7))
        with env.auto_time_skipping_disabled():
            (view,), (theirs,) = await waiting(one), await waiting(other)
            await one.signal("approve", {"by": "alice", "gate": "gate-7"})
            await one.signal("approve", {"by": "alice", "digest": theirs.digest})
            await one.signal("approve", {"by": "alice", "gate": other.id})
            assert await kinds(one) == ["opened", "early", "refused", "early"]
            await one.signal("approve", {"by": "alice", "digest": view.digest[:12]})
            assert (await one.result()).paid == (5,)
            await other.signal("deny")
            assert (await other.result()).paid == ()


@pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "replayed"])
async def test_an_open_gate_goes_through_continue_as_new(env: WorkflowEnvironment, cached: int) -> None:
    policy = GatePolicy(needed=2, deadline=3600)
    async with gated(env, max_cached_workflows=cached):
        handle = await start(env, Job(policy=policy, rolls=True))
        with env.auto_time_skipping_disabled():
            (before,) = await waiting(handle)
            await handle.signal("approve", "alice")
            await handle.signal("approve", {"by": "carol", "gate": "gate-2"})
            await handle.signal("roll")
            latest = env.client.get_workflow_handle(handle.id, result_type=Paid)
            async with asyncio.timeout(30):
                while (await latest.describe()).run_id == handle.first_execution_run_id:  # noqa: ASYNC110  no event for it
                    await asyncio.sleep(0.05)
            (after,) = await waiting(latest)
            assert after == before.model_copy(update={"approved_by": ("alice",)})
            await latest.signal("approve", "alice")
            await latest.signal("approve", "bob")
            result = await latest.result()
        assert result.decisions[0].by == ("alice", "bob")
        assert result.paid == (5,)
        assert await kinds(latest) == ["opened", "counted", "early", "duplicate", "approved"]
        assert (await latest.describe()).memo is not None


async def test_two_of_three_must_approve_and_the_requester_is_none_of_them(env: WorkflowEnvironment) -> None:
    policy = GatePolicy(needed=2, eligible=("Ann", "Bob", "Cem"))
    sent = [("approve", name) for name in ("Ann", "Eve", "bob", "Bob", "Cem")]
    result, recorded = await decided(env, Job(policy=policy, requester="Ann"), *sent)
    assert (result.paid, result.decisions[0].by) == ((5,), ("bob", "Cem"))
    assert recorded == ["opened", "refused", "refused", "counted", "duplicate", "approved"]


async def test_what_was_edited_is_what_runs(env: WorkflowEnvironment) -> None:
    sent = [
        ("decide", {"verdict": "approve", "by": "Ann", "edit": {"amount": 4}, "reason": "half is enough"}),
        ("approve", "Ann"),
        ("approve", "Bob"),
    ]
    result, recorded = await decided(env, Job(amount=8), *sent)
    assert result.paid == (4,)
    assert recorded == ["opened", "edited", "refused", "approved"]
    assert result.told == ("opened to all", "edited to all", "approved to all")


async def test_the_acting_activity_refuses_what_was_changed_after_the_approval(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(changed={"amount": 500}))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            await handle.signal("approve", "alice")
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.NOT_APPROVED


async def test_a_policy_may_halt_the_whole_run(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(on_timeout=OnTimeout.HALT)))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert await kinds(handle) == ["opened", "halted"]
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.NOT_ANSWERED


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
    assert [round((record.when - start_time).total_seconds()) for record in log.records] == [
        0, 100, 150, 200, 300, 300, 400, 500, 600,
    ]  # fmt: skip
    assert status.notices == ("people could not be told that gate-1 is opened: nobody hears",)


async def test_a_run_that_is_cancelled_at_a_gate_never_acts(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job())
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
        assert isinstance(caught.value.cause, CancelledError)
        assert await kinds(handle) == ["opened", "cancelled"]
        history = await handle.fetch_history()
    assert not [event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")]


async def test_gates_that_wait_side_by_side_are_told_apart(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(gates=3, at_once=True))
        with env.auto_time_skipping_disabled():
            await waiting(handle, 3)
            await handle.signal("approve", "alice")
            await handle.signal("approve", {"by": "alice", "gate": "gate-3"})
            await handle.signal("deny", {"by": "alice", "gate": "gate-1"})
            await handle.signal("approve", "alice")
            result = await handle.result()
        assert result.paid == ("5-1", "5-2")
        assert (await kinds(handle))[3:] == ["refused", "approved", "denied", "approved"]


async def test_an_update_answers_at_once_and_refuses_with_the_reason(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(needed=2)))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            said = {}
            sent: dict[str, list[Any]] = {"none": [], "two": [1, 2], "bytes": [b"\xff"], "nameless": ["yes"]}
            for name, arguments in sent.items():
                with pytest.raises(WorkflowUpdateFailedError) as caught:
                    await handle.execute_update("decide", args=arguments)
                said[name] = str(caught.value.cause)
            done = await handle.execute_update("decide", {"verdict": "approve", "by": "alice"}, result_type=GateRecord)
            await handle.execute_update("decide", {"verdict": "approve", "by": "bob"})
            result = await handle.result()
    assert [name for name, reason in said.items() if not reason.startswith("InputInvalid: ")] == []
    assert "no verdict" in said["none"]
    assert "2 inputs, send one" in said["two"]
    assert "send your name" in said["nameless"]
    assert (str(done.kind), done.by, done.channel) == ("counted", "alice", "update")
    assert result.paid == (5,)


async def test_junk_to_every_handler_wedges_nothing_and_is_shown(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job())
        with env.auto_time_skipping_disabled():
            await waiting(handle)
            for name in ("approve", "deny", "decide"):
                for arguments in JUNK:
                    await handle.signal(name, args=arguments)
            for arguments in JUNK:
                with pytest.raises(WorkflowUpdateFailedError):
                    await handle.execute_update("decide", args=arguments)
            log = await log_of(handle)
            status = await handle.query(GatedWorkflow.status)
            await handle.signal("approve", "alice")
            result = await handle.result()
        history = await handle.fetch_history()
    assert [str(record.kind) for record in log.records] == ["opened"] + ["unreadable"] * 4 * len(JUNK)
    assert len(status.notices) == 20
    assert result.paid == (5,)
    assert not [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]


async def test_a_gate_that_nobody_could_approve_fails_the_run_with_the_reason(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(policy=GatePolicy(eligible=("Ann",)), requester="ann"))
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        assert "policy.needed" in str(caught.value.cause)


async def test_a_run_without_gates_keeps_its_history_whatever_is_sent_to_it(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(gates=0, waits=True))
        for arguments in ([], ["yes"], [1, 2]):
            await handle.signal("approve", args=arguments)
        await handle.signal("begin")
        await handle.result()
        assert await kinds(handle) == ["early", "early", "unreadable"]
        history = await handle.fetch_history()
    assert not [event for event in history.events if event.HasField("workflow_properties_modified_event_attributes")]


async def test_what_waits_is_shown_with_the_line_to_copy(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(risk=Risk.HIGH))
        with env.auto_time_skipping_disabled():
            (view,) = await waiting(handle)
            memo = await (await handle.describe()).memo_value("gates", type_hint=GatesShown)
            await handle.signal("deny")
            await handle.result()
    assert (view.description, view.arguments, view.target, view.risk) == (
        "Pay the bill",
        '{"amount": 5}',
        "acme",
        "high",
    )
    assert memo.waiting == (view,)
