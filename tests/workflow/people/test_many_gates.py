"""Many gates at once: none holds up another, history grows with their number, and a step that waits takes no place of others."""

import asyncio
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner

from outlast.approvals import views
from outlast.approvals.identity_activities import GateTermsActivities
from outlast.approvals.views import view_of
from outlast.cli.decisions.listing import gates_of
from outlast.contracts import (
    GateRecord,
    GateState,
    GateTerms,
    GateTermsRequest,
    GateView,
    Plan,
    PlanRequest,
    PlanStep,
    RunStatus,
    StepState,
)
from outlast.plans import running
from tests.workflow import conftest
from tests.workflow.conftest import Runner
from tests.workflow.people import gating
from tests.workflow.people.gating import Job, gated, start, waiting
from tests.workflow.undo.rolling_back import PLAN


async def test_the_memo_grows_with_the_gates_and_not_with_their_square(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[int, int] = {}
    written_anew: list[GateState] = []

    def counted(gate: GateState) -> GateView:
        written_anew.append(gate)
        return view_of(gate)

    monkeypatch.setattr(gating, "policed", UnsandboxedWorkflowRunner)  # a sandbox has modules of its own
    monkeypatch.setattr(views, "view_of", counted)
    for count in (5, 40):
        async with gated(env):
            written_anew.clear()
            handle = await start(env, Job(gates=count, at_once=True))
            with env.auto_time_skipping_disabled():
                await waiting(handle, count)
                shown = await gates_of(await handle.describe())
                assert len(shown.waiting) == count
                for number in range(1, count + 1):
                    await handle.signal("deny", {"gate": f"gate-{number}"})
                await handle.result()
            history = await handle.fetch_history()
            written[count] = sum(
                event.ByteSize()
                for event in history.events
                if event.HasField("workflow_properties_modified_event_attributes")
            )
    assert written[40] < 8 * written[5] * 1.3
    assert 40 <= len(written_anew) <= 4 * 40, (
        "a gate is written anew where it changes, and not for each change of another"
    )


async def test_a_decision_at_one_gate_does_not_wait_for_the_terms_of_another(env: WorkflowEnvironment) -> None:
    going_on = asyncio.Event()

    class Slow(GateTermsActivities):
        asked = 0

        @activity.defn(name="gate_terms")
        async def gate_terms(self, request: GateTermsRequest) -> GateTerms:
            Slow.asked += 1
            if Slow.asked > 1:
                await going_on.wait()
            return await super().gate_terms(request)

    async with gated(env, terms=Slow()):
        handle = await start(env, Job(gates=2, at_once=True))
        with env.auto_time_skipping_disabled():
            (first,) = await waiting(handle, 1)
            sent = {"verdict": "approve", "by": "alice", "gate": first.name}
            async with asyncio.timeout(8):
                record = await handle.execute_update("decide", sent, result_type=GateRecord)
            assert (record.kind, record.gate) == ("approved", first.name)
            going_on.set()
            await waiting(handle, 1)
            await handle.signal("deny", {"by": "bob"})
            assert len((await handle.result()).paid) == 1


async def test_no_more_steps_of_a_plan_wait_for_people_than_they_can_see(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "policed", UnsandboxedWorkflowRunner)
    monkeypatch.setattr(running, "MOST_WAITING", 2)
    steps = tuple(PlanStep(step=f"mail {at}", agent="generalist", input=f"Send {at}.", confirm=True) for at in range(5))
    seen: set[str] = set()
    async with runner.worker(lambda _: "said"):
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=steps)))
        with runner.env.auto_time_skipping_disabled():
            async with asyncio.timeout(30):
                while len(seen) < 5:
                    open_now = (await status_of(handle)).gates
                    assert len(open_now) <= 2
                    for gate in open_now:
                        if gate.name not in seen:
                            seen.add(gate.name)
                            await handle.signal("approve", {"gate": gate.name, "by": "ann", "digest": gate.digest})
            await handle.result()


async def test_a_step_that_waits_for_a_person_takes_no_place_of_those_that_run(runner: Runner) -> None:
    steps = (
        PlanStep(step="mail", agent="generalist", input="Send it.", confirm=True),
        *(PlanStep(step=f"look {number}", agent="generalist", input="Look.") for number in range(3)),
    )
    async with runner.worker(lambda _: "said"):
        handle = await runner.start(PLAN, PlanRequest(plan=Plan(steps=steps), max_parallel=1))
        with runner.env.auto_time_skipping_disabled():
            await waiting(handle)
            async with asyncio.timeout(20):
                while [row.state for row in (await status_of(handle)).steps].count(StepState.DONE) < 3:  # noqa: ASYNC110 - a query has no event
                    await asyncio.sleep(0.05)
            assert len((await status_of(handle)).gates) == 1
            await handle.signal("approve", {"by": "ann"})
            await handle.result()
        assert {row.state for row in (await status_of(handle)).steps} == {StepState.DONE}


async def status_of(handle: WorkflowHandle[Any, Any]) -> RunStatus:
    status: RunStatus = await handle.query("status", result_type=RunStatus)
    return status
