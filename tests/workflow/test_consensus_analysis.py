"""Consensus on the real server: each rule, what stops early and what it cost, ties, failures, and what voters get to read."""

import asyncio
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.contracts import DocumentSource, Part
from activities.errors import ErrorKind, kind_of, text_of
from activities.llm.base import ModelCall
from tests.workflow.conftest import Runner
from tests.workflow.test_agent_session import crew_of
from tests.workflow.test_document_analysis import LEASE, source
from tests.workflow.voting import FAIL, FIVE, HOLD, QUESTION, TWO, five, held, panel, request, verdict, who
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.contracts import (
    ConsensusResult,
    OnTie,
    Rule,
    RuleKind,
    RunReport,
    RunState,
    Spend,
    StepState,
    Vote,
    Voter,
    VoteState,
)

RUN = ConsensusAnalysisWorkflow.run
MAJORITY, WEIGHTED, UNANIMOUS, QUORUM = RuleKind.MAJORITY, RuleKind.WEIGHTED, RuleKind.UNANIMOUS, RuleKind.QUORUM


@pytest.fixture
def quick(runner: Runner) -> Runner:
    """A runner whose calls hear of their cancellation within a second."""
    settings = runner.settings.model_copy(update={"heartbeat_timeout": 3.0})
    return Runner(runner.env, settings, runner.store)


async def decide(runner: Runner, script: Any, *args: Any, **fields: Any) -> tuple[ConsensusResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, request(*args, **fields))
    assert isinstance(result, ConsensusResult)
    return result, llm.calls


async def failure(runner: Runner, script: Any, *args: Any, **fields: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await decide(runner, script, *args, **fields)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


def states(result: ConsensusResult) -> dict[VoteState, int]:
    found = [vote.state for vote in result.votes]
    return {state: found.count(state) for state in VoteState if state in found}


def words(call: ModelCall) -> int:
    return sum(len(text.split()) for _, text in call.messages) + len(call.system.split())


def said(call: ModelCall) -> str:
    return "\n".join(text for _, text in call.messages)


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


async def test_a_call_that_answers_after_it_was_cancelled_is_paid_and_leads_to_no_other(runner: Runner) -> None:
    settings = runner.settings.model_copy(update={"heartbeat_timeout": 600.0})
    deaf, release = Runner(runner.env, settings, runner.store), asyncio.Event()

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


async def test_a_cancelled_voter_with_tools_is_counted_as_well(quick: Runner, tmp_path: Any) -> None:
    ours = crew_of(quick, tmp_path / "crew", ("a", ""), ("b", "tools: Read"), ("c", ""))

    def script(call: ModelCall) -> Any:
        return held() if call.tools else verdict("yes")

    voters = tuple(Voter(agent=name) for name in "abc")
    result, calls = await decide(ours, script, voters, on_tie=OnTie.FLAG)
    assert (result.verdict, result.votes[1].state) == ("yes", VoteState.CANCELLED)
    assert result.votes[1].spend.input_tokens == next(words(call) for call in calls if call.tools)


async def test_a_panel_of_one_mind_is_agreed(runner: Runner) -> None:
    result, calls = await decide(runner, five("no", "no", "no", "no", "no"), rule=Rule(kind=UNANIMOUS))
    assert (result.verdict, result.decided_by, result.agreed) == ("no", "unanimous", True)
    assert (result.stopped_early, len(calls)) == (False, 5)
    first = result.votes[0]
    assert (first.verdict, first.confidence, first.reasons) == ("no", 0.8, "It says no.")
    assert first.evidence == ("shall pay rent",)
    assert await runner.text(first.full) == verdict("no")


async def test_unanimity_stops_at_the_first_contradiction(quick: Runner) -> None:
    result, _ = await decide(quick, five("yes", "no", HOLD, HOLD, HOLD), rule=Rule(kind=UNANIMOUS), on_tie=OnTie.FLAG)
    assert (result.state, result.verdict, result.decided_by) == (RunState.COMPLETED, "", "nobody")
    assert (result.agreed, result.stopped_early, result.dissent) == (False, True, ("analyst", "sceptic"))
    assert [vote.reasons for vote in result.votes[:2]] == ["It says yes.", "It says no."]
    assert "the votes decide nothing: yes 1 (analyst), no 1 (sceptic)" in result.notes


async def test_a_heavy_voter_outweighs_two(runner: Runner) -> None:
    voters = (FIVE[0], FIVE[1].model_copy(update={"weight": 3.0}), FIVE[2])
    script = panel(analyst="yes", sceptic="no", general="yes")
    by_number, _ = await decide(runner, script, voters)
    by_weight, _ = await decide(runner, script, voters, rule=Rule(kind=WEIGHTED))
    assert (by_number.verdict, by_number.decided_by) == ("yes", "majority")
    assert (by_weight.verdict, by_weight.decided_by) == ("no", "weighted")
    assert [vote.weight for vote in by_weight.votes] == [1.0, 3.0, 1.0]


async def test_a_quorum_of_two_decides_and_the_dissent_is_kept_with_its_reasons(runner: Runner) -> None:
    script = five("a", "b", "c", "b", "d")
    result, _ = await decide(
        runner, script, options=("a", "b", "c", "d"), rule=Rule(kind=QUORUM, quorum=2), on_tie=OnTie.FLAG
    )
    assert (result.verdict, result.decided_by) == ("b", "quorum")
    assert result.dissent == ("analyst", "general-analyst", "financial-analyst")
    reasons = [vote.reasons for vote in result.votes if vote.voter in result.dissent]
    assert reasons == ["It says a.", "It says c.", "It says d."]
    assert result.agreed is False


async def test_failed_voters_do_not_make_a_majority_easier(runner: Runner) -> None:
    result, calls = await decide(runner, five("yes", "yes", FAIL, FAIL, FAIL, judge="yes"))
    # The third failure settles it, so the second "yes" may come too late to be waited for.
    assert states(result)[VoteState.FAILED] == 3
    assert all("not today" in vote.error for vote in result.votes if vote.state is VoteState.FAILED)
    assert (result.state, result.verdict, result.decided_by) == (RunState.PARTIAL, "yes", "judge")
    assert [who(call) for call in calls].count("generalist") == 0, "no other agent votes in their place"


async def test_a_verdict_outside_of_the_options_goes_back_and_then_the_voter_counts_as_failed(runner: Runner) -> None:
    def mended(call: ModelCall) -> str:
        return verdict("maybe" if who(call) == "sceptic" and len(call.messages) == 1 else "yes")

    result, calls = await decide(runner, mended, TWO)
    assert (result.verdict, len(calls)) == ("yes", 3)
    assert "'maybe' is not one of ['yes', 'no']" in said(calls[-1])
    assert any(note.startswith("sceptic: sceptic: answer sent back") for note in result.notes)

    result, calls = await decide(runner, panel(analyst="yes", sceptic="maybe"), TWO, on_tie=OnTie.FLAG)
    assert [vote.state for vote in result.votes] == [VoteState.CAST, VoteState.FAILED]
    assert "'maybe' is not one of ['yes', 'no']" in result.votes[1].error
    assert (result.verdict, result.votes[1].spend.calls, len(calls)) == ("", 3, 4)


async def test_a_judge_breaks_a_tie_by_the_votes_and_the_material(runner: Runner) -> None:
    lease = await source(runner, "lease.md", LEASE)
    result, calls = await decide(runner, panel(analyst="yes", sceptic="no", judge="no"), TWO, document=lease)
    assert (result.verdict, result.decided_by, result.dissent) == ("no", "judge", ("analyst",))
    assert (result.state, result.agreed) == (RunState.COMPLETED, False)
    assert result.ruling is not None
    assert (result.ruling.voter, result.ruling.agent, result.ruling.reasons) == ("judge", "judge", "It says no.")
    judged = said(calls[-1])
    assert "It says yes." in judged
    assert "It says no." in judged
    assert "The tenant shall pay rent" in judged
    assert QUESTION in judged
    assert result.spend.calls == len(calls) == 3


async def test_a_judge_that_fails_leaves_the_tie_flagged(runner: Runner) -> None:
    script = panel(analyst="yes", sceptic="no", judge=FAIL, generalist=FAIL)
    result, _ = await decide(runner, script, TWO)
    assert (result.state, result.verdict, result.decided_by) == (RunState.PARTIAL, "", "nobody")
    assert result.ruling is not None
    assert result.ruling.state is VoteState.FAILED
    assert "the judge failed, so nobody decided" in result.notes[-1]


async def test_a_person_breaks_a_tie(runner: Runner) -> None:
    async with runner.worker(panel(analyst="yes", sceptic="no")):
        handle = await runner.start(RUN, request(TWO, on_tie=OnTie.PERSON))
        with runner.env.auto_time_skipping_disabled():
            async with asyncio.timeout(30):
                while not (asked := (await handle.query(ConsensusAnalysisWorkflow.status)).questions):  # noqa: ASYNC110  a query has no event
                    await asyncio.sleep(0.05)
            await handle.signal("answer", "perhaps")
            await handle.signal("answer", "NO")
            result = await handle.result()
        status = await handle.query(ConsensusAnalysisWorkflow.status)
    assert asked[0].text == f"The votes are divided: {QUESTION} (yes | no)"
    assert (result.verdict, result.decided_by, result.dissent) == ("no", "person", ("analyst",))
    assert (result.state, result.ruling.agent) == (RunState.COMPLETED, "person")
    assert "'perhaps' is none of yes, no" in status.notices[0]


async def test_a_person_who_does_not_answer_leaves_the_tie_flagged(runner: Runner) -> None:
    result, _ = await decide(runner, panel(analyst="yes", sceptic="no"), TWO, on_tie=OnTie.PERSON, deadline=3600.0)
    assert (result.state, result.verdict, result.decided_by) == (RunState.PARTIAL, "", "nobody")
    assert result.notes[-1] == "no person answered within 3600 s, so nobody decided"


async def test_when_every_voter_failed_the_run_fails_and_says_why_and_what_it_cost(runner: Runner) -> None:
    error = await failure(runner, five(FAIL, FAIL, FAIL, FAIL, FAIL))
    assert kind_of(error) is ErrorKind.NOTHING_SUCCEEDED
    assert "every voter failed (analyst: " in text_of(error)
    left = ConsensusResult.model_validate(error.details[0])
    assert (left.state, states(left)) == (RunState.FAILED, {VoteState.FAILED: 5})
    assert left.spend.calls == 5


async def test_voters_read_document_and_material_and_each_its_own_angle(runner: Runner) -> None:
    lease = await source(runner, "lease.md", LEASE)
    given = Part(text="The rent is 900 a month.")
    _, calls = await decide(runner, five(*["yes"] * 5), document=lease, material=given, rule=Rule(kind=UNANIMOUS))
    for call in calls:
        assert '<part label="material">\nThe rent is 900 a month.\n</part>' in said(call)
        assert '<part label="lease.md">\n# Lease' in said(call)
        assert said(call).endswith(QUESTION)
        assert call.output_schema is not None
        assert call.output_schema["properties"]["verdict"]["enum"] == ["yes", "no"]
    angles = [voter.angle for voter in FIVE]
    assert sorted(next(angle for angle in angles if angle in said(call)) for call in calls) == sorted(angles)


async def test_a_document_longer_than_the_window_is_cut_and_the_notes_say_so(runner: Runner) -> None:
    clauses = [f"Clause {n}. " + "The tenant shall keep the premises in good repair. " * 8 for n in range(60)]
    long = await source(runner, "long.md", "\n\n".join(clauses))
    result, calls = await decide(runner, panel(analyst="yes", sceptic="yes"), TWO, document=long)
    assert result.verdict == "yes"
    assert [note.partition(":")[0] for note in result.notes] == [
        "analyst read only a part",
        "sceptic read only a part",
    ]
    assert "long.md, part 1 of " in said(calls[0])
    assert "Clause 0." in said(calls[0])
    assert "Clause 59." in said(calls[0])
    assert "characters left out" in said(calls[0])


async def test_a_long_question_stays_out_of_history(runner: Runner) -> None:
    long = "Is it so? " * 500 + "The end."
    async with runner.worker(panel(analyst="yes", sceptic="yes")) as llm:
        handle = await runner.start(RUN, request(TWO, question=long))
        await handle.result()
        history = (await handle.fetch_history()).to_json()
    assert all(said(call).endswith("The end.") for call in llm.calls)
    assert len(history) < 30_000


async def test_a_document_that_cannot_be_read_fails_the_run_before_anybody_is_asked(runner: Runner) -> None:
    empty = await source(runner, "empty.txt", " \n")
    assert kind_of(await failure(runner, panel(), document=empty)) is ErrorKind.DOCUMENT_EMPTY
    lost = DocumentSource(name="lost.md", ref="A" * 43, size=10)
    assert "CONTENT_STORE_URL" in text_of(await failure(runner, panel(), document=lost))


async def test_what_cannot_be_voted_on_is_refused_before_anybody_is_asked(runner: Runner) -> None:
    error = await failure(runner, panel(), TWO, options=("yes",), rule=Rule(kind=QUORUM, quorum=3))
    assert kind_of(error) is ErrorKind.INPUT_INVALID
    assert "options: 1 given" in text_of(error)
    assert "rule.quorum: 3 of 2 voters" in text_of(error)
    error = await failure(runner, panel(), (Voter(agent="nobody"), *TWO))
    assert kind_of(error) is ErrorKind.UNKNOWN_AGENT


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
