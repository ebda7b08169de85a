"""The budget of a run: no overshoot under fan-out, one gate, more on approval, a typed end otherwise, and every cost counted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from activities.search.contracts import SourceKind
from outlast.agents.sessions import AgentSessionResult
from outlast.client import Settings, data_converter
from outlast.consensus.votes import ConsensusRequest, OnTie, Voter
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    ChangeState,
    Part,
    Plan,
    PlanRequest,
    PlanResult,
    PlanStep,
    RunState,
    StepState,
)
from outlast.errors import ErrorKind, kind_of
from outlast.llm.scripted import ScriptedLLM
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import StagedRequest
from outlast.storage.activities import ContentStore
from tests.conftest import binary
from tests.workflow.budget.budgeting import (
    COST,
    DEAR,
    FITS_SEVEN,
    LIMIT,
    WORST,
    breaking_once,
    budget_of,
    chain,
    dear,
    fan_out,
    gate_of,
    kinds_of,
    priced,
    status_of,
    writers,
)
from tests.workflow.choosing.researching import Given, citing, hit
from tests.workflow.conftest import Runner
from tests.workflow.talking.test_agent_session import SESSION, WRITING, calls, in_turn, task
from worker import working
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.contracts.research import ResearchRequest
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow
from workflows.staged_delivery import StagedDeliveryWorkflow

PLAN = PlanAndExecuteWorkflow.run
WIDTH = 20


async def stopped(handle: Any) -> Any:
    """Await a run that its budget ends, and return what it left."""
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert kind_of(failure.value.cause) is ErrorKind.BUDGET_REACHED, failure.value.cause
    return failure.value.cause


@pytest.mark.parametrize(
    ("name", "sent", "allowed", "recorded"),
    [
        ("approve", [{"by": "alice"}], WIDTH, ["opened", "approved"]),
        ("decide", [{"verdict": "approve", "by": "alice", "edit": {"usd": round(3 * COST + 0.01, 6)}}], 10,
         ["opened", "edited", "approved", "opened"]),
        ("deny", [{"by": "bob", "reason": "too dear"}], 7, ["opened", "denied"]),
        ("", [], 7, ["opened", "timed out"]),
    ],
    ids=["approve", "edit", "deny", "time-out"],
)  # fmt: skip
async def test_a_fan_out_never_overshoots_and_asks_once(
    runner: Runner, tmp_path: Path, name: str, sent: Sequence[Any], allowed: int, recorded: Sequence[str]
) -> None:
    ours = priced(runner, tmp_path / "agents")
    async with ours.worker(dear) as llm:
        handle = await ours.start(PLAN, fan_out(WIDTH, FITS_SEVEN))
        gate = await gate_of(handle)
        shown = await budget_of(handle)
        assert len(llm.calls) == 7
        assert (shown.spent.calls, shown.reserved.calls) == (7, 0)
        assert shown.spent.usd == pytest.approx(7 * COST)
        assert shown.spent.usd <= LIMIT
        assert "13 calls wait" in gate.description
        # By now the run knows what a call costs; what is left of the limit is counted.
        assert 12 * COST < json.loads(gate.arguments)["usd"] < 13 * WORST
        assert any("of the budget is spent (usd)" in said for said in shown.warnings)
        if name:
            await handle.signal(name, args=sent)
        if allowed == WIDTH:
            result = await handle.result()
            assert (result.state, result.done, result.budget.raised) == (RunState.COMPLETED, WIDTH, 1)
        elif allowed == 10:
            await gate_of(handle)
            shown = await budget_of(handle)
            assert shown.usd is not None
            assert shown.spent.usd <= shown.usd == pytest.approx(LIMIT + 3 * COST + 0.01)
            assert (await kinds_of(handle)) == recorded
            await handle.signal("deny", "bob")
        if allowed < WIDTH:
            cause = await stopped(handle)
            left = PlanResult.model_validate(cause.details[0])
            assert (left.done, left.failed, len(left.answers)) == (allowed, WIDTH - allowed, allowed)
            assert ("too dear" in cause.message) == (name == "deny")
            states = [row.state for row in (await status_of(handle)).steps]
            assert states.count(StepState.DONE) == allowed
        assert len(llm.calls) == allowed
        assert (await kinds_of(handle))[: len(recorded)] == recorded


async def test_an_edit_that_is_no_amount_is_told_and_people_are_asked_again(runner: Runner, tmp_path: Path) -> None:
    ours = priced(runner, tmp_path / "agents")
    async with ours.worker(dear) as llm:
        handle = await ours.start(PLAN, chain(2, Budget(calls=1)))
        await gate_of(handle)
        await handle.signal("decide", {"verdict": "approve", "by": "alice", "edit": {"calls": "many"}})
        while (gate := await gate_of(handle)).name != "gate-2":
            pass
        shown = await budget_of(handle)
        assert "calls: 'many' is not an amount" in " ".join(shown.warnings)
        assert gate.name == "gate-2"
        await handle.signal("approve", {"by": "alice"})
        result = await handle.result()
    assert (result.done, len(llm.calls), result.budget.calls) == (2, 2, 2)


@pytest.mark.parametrize("budget", [None, Budget(usd=1)], ids=["no budget", "budget"])
async def test_what_a_broken_attempt_cost_is_counted(runner: Runner, tmp_path: Path, budget: Budget | None) -> None:
    ours = priced(runner, tmp_path / "agents")
    result, llm = await ours.run(breaking_once(), PLAN, fan_out(1, budget))
    assert len(llm.calls) == 2
    assert result.spend.usd == pytest.approx(COST + (100 * 2 + 17 * 10) / 1_000_000)
    assert result.spend.output_tokens == 17_000 + 17
    assert result.spend.calls == (1 if budget is None else 2)


async def test_a_prompt_longer_than_guessed_is_sent_only_once_there_is_room(runner: Runner, tmp_path: Path) -> None:
    ours = priced(runner, tmp_path / "agents", a=DEAR, b=DEAR)
    content = await ours.store.keep("word " * 120_000)
    long = Plan(steps=(PlanStep(step="1", agent="a", input="q" * 90_000),))
    assert content.ref
    async with ours.worker(dear) as llm:
        handle = await ours.start(PLAN, fan_out(1, Budget(tokens=17_000 + 100_000), plan=long))
        assert (await handle.result()).state is RunState.COMPLETED
        voted = ConsensusRequest(question="Is it?", voters=(Voter(agent="a"), Voter(agent="b")), material=Part(ref=content.ref),
                                 on_tie=OnTie.FLAG, budget=Budget(tokens=150_000))  # fmt: skip
        handle = await ours.start(ConsensusAnalysisWorkflow.run, voted)
        cause = await stopped(handle)  # nobody raises it in time
    assert "spend" not in cause.details[0]
    assert len(llm.calls) == 1


async def test_from_the_soft_limit_on_a_run_warns_and_takes_the_cheaper_model(runner: Runner, tmp_path: Path) -> None:
    ours = priced(runner, tmp_path / "agents", a=f"{DEAR}\nfallback: 'model:haiku'")
    result, llm = await ours.run(dear, PLAN, chain(3, Budget(usd=0.3, soft=0.5)))
    assert [call.model.split("-")[1] for call in llm.calls] == ["sonnet", "haiku", "haiku"]
    assert result.budget.warnings == ("57% of the budget is spent (usd)",)
    assert result.spend.usd < 0.3


async def test_models_without_a_price_are_named_at_once_and_tokens_count_all_the_same(runner: Runner) -> None:
    async with runner.worker(lambda _: "Said.") as llm:
        request = PlanRequest(plan=writers(3), budget=Budget(usd=0.01, tokens=5000))
        handle = await runner.start(PLAN, request)
        result = await handle.result()
    assert len(llm.calls) == 3
    assert "no price is known of smollm2-135m-instruct" in result.budget.warnings[0]
    assert 0 < result.budget.spent.tokens <= 5000


@pytest.mark.parametrize(
    ("workflow", "request_"),
    [
        (RequestHandlingWorkflow.run, RouteRequest(requests=(RequestText(name="r", text=Part(text="My bill?")),))),
        (StagedDeliveryWorkflow.run, StagedRequest(task="A brief")),
        (ConsensusAnalysisWorkflow.run, ConsensusRequest(question="Is it?", material=Part(text="It is."))),
    ],
    ids=["requests", "staged", "consensus"],
)
async def test_every_pattern_stops_with_the_typed_cause_and_what_it_has(
    runner: Runner, workflow: Any, request_: Any
) -> None:
    async with runner.worker(lambda _: "Hm.") as llm:
        handle = await runner.start(workflow, request_.model_copy(update={"budget": Budget(calls=1)}))
        cause = await stopped(handle)
    assert len(llm.calls) == 1
    assert cause.details[0]["spend"]["calls"] == 1
    assert "1 of 1 calls" in cause.message


async def test_a_session_carries_what_is_spent_and_the_raised_limit_across_continue_as_new(
    settings: Settings, store: ContentStore
) -> None:
    """On a real server that suggests it after few events."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary("temporal"),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40"],
        data_converter=data_converter(settings.payload_limit_bytes),
    )
    async with environment:
        runner = Runner(environment, settings, store)
        llm = ScriptedLLM(lambda call: calls(("list_files", {}), turn=len(call.history)))
        async with working(environment.client, settings, llm):
            handle = await runner.start(SESSION, task(budget=Budget(calls=3, soft=1)))
            await gate_of(handle)
            assert len(llm.calls) == 3
            await handle.signal("decide", {"verdict": "approve", "by": "alice", "edit": {"calls": 9}})
            while len(llm.calls) < 12:
                await runner.env.sleep(0.05)
            await gate_of(handle)
            await handle.signal("deny", "bob")
            left = AgentSessionResult.model_validate((await stopped(handle)).details[0])
            parts = (await handle.describe()).run_id != handle.first_execution_run_id
    assert parts
    assert (len(llm.calls), left.spend.calls, left.progress.turns) == (12, 12, 12)
    assert left.budget is not None
    assert (left.budget.calls, left.state) == (12, RunState.PARTIAL)


async def test_the_gate_stays_while_those_that_wait_at_it_are_cancelled(runner: Runner) -> None:
    """Readers give up at their deadline; the synthesiser then waits at the gate that is open already."""
    given = {kind: Given((hit(f"From {kind}"),)) for kind in SourceKind}
    async with runner.worker(citing, given) as llm:
        asked = ResearchRequest(topic="Heat pumps?", deadline=60.0, budget=Budget(calls=1))
        handle = await runner.start(ParallelResearchWorkflow.run, asked)
        cause = await stopped(handle)
        history = await handle.fetch_history()
        assert await kinds_of(handle) == ["opened", "timed out"]
    assert len(llm.calls) == 1
    gaps = [source["gap"] for source in cause.details[0]["sources"] if "gap" in source]
    assert len(gaps) == 2
    assert all("nobody read them" in gap for gap in gaps)
    assert (history.events[-1].event_time.ToDatetime() - history.events[0].event_time.ToDatetime()).seconds < 310


async def test_a_run_cancelled_at_its_gate_spends_no_more(runner: Runner) -> None:
    async with runner.worker(lambda _: "Said.") as llm:
        handle = await runner.start(PLAN, PlanRequest(plan=writers(2), budget=Budget(calls=1)))
        await gate_of(handle)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        assert isinstance(failure.value.cause, CancelledError)
        assert await kinds_of(handle) == ["opened", "cancelled"]
        assert (await status_of(handle)).state is RunState.CANCELLED
    assert len(llm.calls) == 1


async def test_what_was_changed_before_the_budget_stopped_a_run_is_rolled_back_by_policy(runner: Runner) -> None:
    async with runner.worker(in_turn(*WRITING)) as llm:
        handle = await runner.start(SESSION, task(budget=Budget(calls=1), on_failure=ROLL_BACK_ALL))
        await gate_of(handle)
        assert len(list(runner.settings.workspace.iterdir())) == 2
        await handle.signal("deny", "bob")
        left = AgentSessionResult.model_validate((await stopped(handle)).details[0])
        assert "2 undone" in (await status_of(handle)).rollback
    assert len(llm.calls) == 1
    assert list(runner.settings.workspace.iterdir()) == []
    assert [change.state for change in left.progress.changes.changes] == [ChangeState.UNDONE] * 2
