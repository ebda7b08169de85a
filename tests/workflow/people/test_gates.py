"""Gates in a running workflow: every order of messages, every policy, junk to every handler; what was not approved never runs."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from outlast.cli.decisions.listing import gates_of
from outlast.cli.reaching import Reach
from outlast.cli.recorded.decisions import audit_run
from outlast.client import Settings
from outlast.contracts import GateOutcome, GatePolicy, GateRecord, Risk
from outlast.errors import ErrorKind, kind_of
from tests.workflow.people.gating import GatedWorkflow, Job, Paid, decided, gated, kinds, log_of, start, waiting

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


@pytest.mark.parametrize("cached", [1000, 0], ids=["cached", "replayed"])
@pytest.mark.parametrize(
    ("sent", "outcome", "by"),
    [
        ([("approve", None)], APPROVED, "somebody"),
        ([("approve", {"by": "alice"})], APPROVED, "alice"),
        ([("approve", {"by": "alice", "reason": "fine"})], APPROVED, "alice"),
        ([("approve", b'{"by": "alice"}')], APPROVED, "alice"),
        ([("approve", '{"gate": "gate-1", "by": "alice"}')], APPROVED, "alice"),
        ([("approve", False)], DENIED, "somebody"),
        ([("decide", "yes")], APPROVED, "somebody"),
        ([("decide", {"approved": True, "by": "alice"})], APPROVED, "alice"),
        ([("decide", {"verdict": "deny", "by": "bob"})], DENIED, "bob"),
        ([("deny", "bob")], DENIED, "bob"),
        ([("deny", None)], DENIED, "somebody"),
        ([("decide", "who knows"), ("approve", "nope"), ("approve", {"by": "alice"})], APPROVED, "alice"),
        ([("approve", "👎"), ("deny", {"approved": True, "edit": 7, "whatever": []})], DENIED, "somebody"),
        ([("approve", "alice"), ("approve", "Ja!")], APPROVED, "somebody"),
        ([("approve", "yes, but no"), ("approve", {"verdict": "deny", "by": "bob"})], DENIED, "bob"),
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
        ([("approve", {"by": "alice"})], APPROVED),
        ([("deny", "alice")], DENIED),
        ([("decide", {"verdict": "deny", "gate": "gate-1"}), ("approve", None)], DENIED),
        ([("approve", {"by": "alice"}), ("approve", {"by": "alice"}), ("deny", "bob")], APPROVED),
    ],
)
async def test_decisions_that_come_before_the_gate_opens_are_kept(
    env: WorkflowEnvironment, early: list[tuple[str, Any]], outcome: GateOutcome, cached: int
) -> None:
    async with gated(env, max_cached_workflows=cached):
        handle = await start(
            env, Job(waits=True, risk=Risk.LOW), start_signal=early[0][0], start_signal_args=[early[0][1]]
        )
        for name, value in early[1:]:
            await handle.signal(name, value)
        await handle.signal("begin")
        result = await handle.result()
        recorded = await kinds(handle)
    assert result.decisions[0].outcome is outcome
    assert recorded[: len(early) + 1] == ["early"] * len(early) + ["opened"]
    assert str(outcome) in recorded


@pytest.mark.parametrize("first", ["approve", "deny"])
async def test_of_two_at_once_one_wins_and_the_other_is_late(env: WorkflowEnvironment, first: str) -> None:
    other = "deny" if first == "approve" else "approve"
    async with gated(env, max_cached_workflows=0):
        handle = await start(env, Job(policy=GatePolicy(deadline=3600)))
        with env.auto_time_skipping_disabled():
            await waiting(handle)
    # Without a worker both are in history before anybody looks: they reach the run in one task.
    await handle.signal(first, {"by": "alice"})
    await handle.signal(other, {"by": "bob"})
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
async def test_an_open_gate_goes_through_continue_as_new(
    env: WorkflowEnvironment, settings: Settings, cached: int
) -> None:
    policy = GatePolicy(needed=2, deadline=3600)
    async with gated(env, max_cached_workflows=cached):
        handle = await start(env, Job(policy=policy, rolls=True))
        with env.auto_time_skipping_disabled():
            (before,) = await waiting(handle)
            await handle.signal("approve", {"by": "alice"})
            await handle.signal("approve", {"by": "carol", "gate": "gate-2"})
            await handle.signal("roll")
            latest = env.client.get_workflow_handle(handle.id, result_type=Paid)
            async with asyncio.timeout(30):
                while (await latest.describe()).run_id == handle.first_execution_run_id:  # noqa: ASYNC110  no event for it
                    await asyncio.sleep(0.05)
            (after,) = await waiting(latest)
            assert after == before.model_copy(update={"approved_by": ("alice",)})
            await latest.signal("approve", {"by": "alice"})
            await latest.signal("approve", {"by": "bob"})
            result = await latest.result()
        assert result.decisions[0].by == ("alice", "bob")
        assert result.paid == (5,)
        assert await kinds(latest) == ["opened", "counted", "early", "duplicate", "approved"]
        audit = await audit_run(Reach(settings, env.client), await latest.describe())
        assert (audit.problems, audit.whole) == ((), True)
        assert [record.kind for record in audit.records] == ["opened", "counted", "early", "duplicate", "approved"]


async def test_what_was_edited_is_what_runs(env: WorkflowEnvironment) -> None:
    sent = [
        ("decide", {"verdict": "approve", "by": "Ann", "edit": {"amount": 4}, "reason": "half is enough"}),
        ("approve", {"by": "Ann"}),
        ("approve", {"by": "Bob"}),
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
            await handle.signal("approve", {"by": "alice"})
            with pytest.raises(WorkflowFailureError) as caught:
                await handle.result()
    assert caught.value.cause is not None
    assert kind_of(caught.value.cause) is ErrorKind.NOT_APPROVED


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
    ran = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
    assert [name for name in ran if name] == ["gate_terms"]


async def test_gates_that_wait_side_by_side_are_told_apart(env: WorkflowEnvironment) -> None:
    async with gated(env):
        handle = await start(env, Job(gates=3, at_once=True))
        with env.auto_time_skipping_disabled():
            await waiting(handle, 3)
            await handle.signal("approve", {"by": "alice"})
            await handle.signal("approve", {"by": "alice", "gate": "gate-3"})
            await handle.signal("deny", {"by": "alice", "gate": "gate-1"})
            await handle.signal("approve", {"by": "alice"})
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
            for name in ("approve", "decide"):
                for arguments in JUNK:
                    await handle.signal(name, args=arguments)
            for arguments in JUNK:
                with pytest.raises(WorkflowUpdateFailedError):
                    await handle.execute_update("decide", args=arguments)
            log = await log_of(handle)
            status = await handle.query(GatedWorkflow.status)
            await handle.signal("approve", {"by": "alice"})
            result = await handle.result()
        history = await handle.fetch_history()
    assert [str(record.kind) for record in log.records] == ["opened"] + ["unreadable"] * 3 * len(JUNK)
    assert len(status.notices) == 20
    assert result.paid == (5,)
    assert not [event for event in history.events if event.HasField("workflow_task_failed_event_attributes")]


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
            memo = await gates_of(await handle.describe())
            await handle.signal("deny")
            await handle.result()
            assert (await gates_of(await handle.describe())).waiting == ()
    assert (view.description, view.arguments, view.target, view.risk) == (
        "Pay the bill",
        '{"amount": 5}',
        "acme",
        "high",
    )
    assert memo.waiting == (view,)
