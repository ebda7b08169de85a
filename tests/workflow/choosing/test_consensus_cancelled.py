"""Who is cancelled once a consensus is settled, and that every token of theirs is counted."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from outlast.consensus.votes import OnTie, Rule, RuleKind, Vote, Voter, VoteState
from outlast.contracts import RunReport, RunState, Spend, StepState
from outlast.llm.base import ModelCall
from tests.workflow.choosing.voting import FIVE, HOLD, RUN, decide, five, held, request, states, verdict, who, words
from tests.workflow.conftest import Runner, with_agents
from workflows.consensus_analysis import ConsensusAnalysisWorkflow

UNANIMOUS = RuleKind.UNANIMOUS


@pytest.fixture
def quick(real_runner: Runner) -> Runner:
    """A runner whose calls hear of their cancellation within a second."""
    settings = real_runner.settings.model_copy(update={"heartbeat_timeout": 3.0})
    return Runner(real_runner.env, settings, real_runner.store)


async def test_a_majority_of_five_stops_after_three_and_counts_the_tokens_of_the_cancelled(quick: Runner) -> None:
    result, calls = await decide(quick, five("yes", HOLD, "yes", HOLD, "yes"))
    assert (result.state, result.verdict, result.decided_by) == (RunState.COMPLETED, "yes", "majority")
    assert states(result) == {VoteState.CAST: 3, VoteState.CANCELLED: 2}
    assert (result.stopped_early, result.agreed, result.dissent) == (True, True, ())
    assert "stopped after 3 of 5 votes" in result.notes[0]
    paid = {who(call): words(call) for call in calls}
    cancelled = [vote for vote in result.votes if vote.state is VoteState.CANCELLED]
    assert [vote.spend.input_tokens for vote in cancelled] == [paid["sceptic"], paid["legal"]]
    assert [vote.spend.calls for vote in cancelled] == [1, 1]
    assert result.spend.input_tokens == sum(paid.values())
    assert result.spend == sum_of(result.votes)
    report = RunReport.model_validate_json(await quick.text(result.report))
    rows = {row.step: row.state for row in report.steps}
    assert (rows["vote · analyst"], rows["vote · sceptic"]) == (StepState.DONE, StepState.SKIPPED)


def sum_of(votes: tuple[Vote, ...]) -> Spend:
    total = Spend()
    for vote in votes:
        total = total.plus(vote.spend)
    return total


async def test_a_call_that_answers_after_it_was_cancelled_is_paid_and_leads_to_no_other(real_runner: Runner) -> None:
    settings = real_runner.settings.model_copy(update={"heartbeat_timeout": 600.0})
    deaf, release = Runner(real_runner.env, settings, real_runner.store), asyncio.Event()

    async def late() -> str:
        await release.wait()
        return verdict("no such option")

    def script(call: ModelCall) -> Any:
        return late() if who(call) == "sceptic" else verdict("yes")

    async with deaf.worker(script) as llm:
        handle = await deaf.start(RUN, request(FIVE[:3]))
        async with asyncio.timeout(30):
            while not release.is_set():
                events = [event async for event in handle.fetch_history_events()]
                if EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED in [event.event_type for event in events]:
                    release.set()
                await asyncio.sleep(0.05)
        result = await handle.result()
    assert (result.verdict, result.votes[1].state) == ("yes", VoteState.CANCELLED)
    assert result.votes[1].spend.output_tokens > 0
    assert len(llm.calls) == result.spend.calls == 3, "the wrong verdict was not sent back"


async def test_a_cancelled_voter_with_tools_is_counted_as_well(quick: Runner, tmp_path: Path) -> None:
    ours = with_agents(quick, tmp_path / "agent-files", {"a": "", "b": "tools: Read", "c": ""})

    asked = asyncio.Event()

    async def after() -> str:
        await asked.wait()
        return verdict("yes")

    def script(call: ModelCall) -> Any:
        if not call.tools:
            return after()
        asked.set()
        return held()

    voters = tuple(Voter(agent=name) for name in "abc")
    result, calls = await decide(ours, script, voters, on_tie=OnTie.FLAG)
    assert (result.verdict, result.votes[1].state) == ("yes", VoteState.CANCELLED)
    assert result.votes[1].spend.input_tokens == next(words(call) for call in calls if call.tools)


async def test_unanimity_stops_at_the_first_contradiction(quick: Runner) -> None:
    result, _ = await decide(quick, five("yes", "no", HOLD, HOLD, HOLD), rule=Rule(kind=UNANIMOUS), on_tie=OnTie.FLAG)
    assert (result.state, result.verdict, result.decided_by) == (RunState.COMPLETED, "", "nobody")
    assert (result.agreed, result.stopped_early, result.dissent) == (False, True, ("analyst", "sceptic"))
    assert [vote.reasons for vote in result.votes[:2]] == ["It says yes.", "It says no."]
    assert "the votes decide nothing: yes 1 (analyst), no 1 (sceptic)" in result.notes


async def test_a_cancelled_run_ends_and_its_calls_with_it(quick: Runner) -> None:
    async with quick.worker(five(*[HOLD] * 5)) as llm:
        handle = await quick.start(RUN, request())
        async with asyncio.timeout(30):
            while len(llm.calls) < 5:  # noqa: ASYNC110  the model double has no event to wait for
                await asyncio.sleep(0.05)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        status = await handle.query(ConsensusAnalysisWorkflow.status)
    assert status.spend.input_tokens == sum(map(words, llm.calls))
