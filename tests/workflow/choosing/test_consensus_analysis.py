"""Consensus on the real server: each rule, ties, failures, and what voters get to read."""

import asyncio

from outlast.consensus.votes import ConsensusResult, OnTie, Rule, RuleKind, Voter, VoteState
from outlast.contracts import Part, RunState
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.base import ModelCall
from tests.workflow.choosing.voting import (
    FAIL,
    FIVE,
    HOLD,
    QUESTION,
    RUN,
    TWO,
    decide,
    failure,
    five,
    panel,
    request,
    said,
    states,
    verdict,
    who,
)
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_document_analysis import LEASE, source
from workflows.consensus_analysis import ConsensusAnalysisWorkflow

MAJORITY, WEIGHTED, UNANIMOUS, QUORUM = RuleKind.MAJORITY, RuleKind.WEIGHTED, RuleKind.UNANIMOUS, RuleKind.QUORUM


async def test_a_panel_of_one_mind_is_agreed(runner: Runner) -> None:
    result, calls = await decide(runner, five("no", "no", "no", "no", "no"), rule=Rule(kind=UNANIMOUS))
    assert (result.verdict, result.decided_by, result.agreed) == ("no", "unanimous", True)
    assert (result.stopped_early, len(calls)) == (False, 5)
    first = result.votes[0]
    assert (first.verdict, first.confidence, first.reasons) == ("no", 0.8, "It says no.")
    assert first.evidence == ("shall pay rent",)
    assert await runner.text(first.full) == verdict("no")


async def test_a_heavy_voter_outweighs_two(runner: Runner) -> None:
    voters = (FIVE[0], FIVE[1].model_copy(update={"weight": 3.0}), FIVE[2])
    # Held, so that nobody is cancelled in the moment of answering: the time-skipping server is lost by that at times.
    by_number, _ = await decide(runner, panel(analyst="yes", sceptic=HOLD, general="yes"), voters)
    held_back = panel(analyst=HOLD, sceptic="no", general=HOLD)
    by_weight, _ = await decide(runner, held_back, voters, rule=Rule(kind=WEIGHTED))
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
    result, calls = await decide(runner, five("yes", HOLD, FAIL, FAIL, FAIL, judge="yes"))
    # The third failure settles it: two votes of five are no majority, though nobody voted otherwise.
    assert states(result)[VoteState.FAILED] == 3
    assert all("not today" in vote.error for vote in result.votes if vote.state is VoteState.FAILED)
    assert (result.state, result.verdict, result.decided_by) == (RunState.PARTIAL, "yes", "judge")
    assert [who(call) for call in calls].count("generalist") == 0, "no other agent votes in their place"


async def test_a_verdict_outside_of_the_options_goes_back_and_then_the_voter_counts_as_failed(runner: Runner) -> None:
    def mended(call: ModelCall) -> str:
        return verdict("maybe" if who(call) == "sceptic" and len(call.messages) == 1 else "yes")

    result, calls = await decide(runner, mended, TWO)
    assert (result.verdict, len(calls)) == ("yes", 3)
    (again,) = (call for call in calls if len(call.messages) > 1)
    assert "'maybe' is not one of ['yes', 'no']" in said(again)
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
                while not (seen := await handle.query(ConsensusAnalysisWorkflow.status)).gates:  # noqa: ASYNC110  a query has no event
                    await asyncio.sleep(0.05)
                asked = seen.questions
            await handle.signal("answer", "perhaps")
            await handle.signal("answer", "NO")
            result = await handle.result()
        status = await handle.query(ConsensusAnalysisWorkflow.status)
    assert asked[0].text == f"The votes are divided: {QUESTION} (yes | no)"
    assert (result.verdict, result.decided_by, result.dissent) == ("no", "person", ("analyst",))
    assert (result.state, result.ruling.agent) == (RunState.COMPLETED, "person")
    assert "'perhaps' is not one of yes, no" in status.notices[0]


async def test_a_person_who_does_not_answer_leaves_the_tie_flagged(runner: Runner) -> None:
    result, _ = await decide(runner, panel(analyst="yes", sceptic="no"), TWO, on_tie=OnTie.PERSON, deadline=3600.0)
    assert (result.state, result.verdict, result.decided_by) == (RunState.PARTIAL, "", "nobody")
    assert result.notes[-1] == "no person answered within 3600 s, so nobody decided"


async def test_many_options_leave_room_for_the_question_to_a_person(runner: Runner) -> None:
    options = tuple(f"option number {number} of many" for number in range(12))
    script = panel(analyst=options[0], sceptic=options[1])
    async with runner.worker(script):
        handle = await runner.start(RUN, request(TWO, on_tie=OnTie.PERSON, options=options, deadline=60.0))
        async with asyncio.timeout(30):
            while not (asked := (await handle.query(ConsensusAnalysisWorkflow.status)).questions):  # noqa: ASYNC110  a query has no event
                await asyncio.sleep(0.05)
        await handle.signal("answer", options[7].upper())
        result = await handle.result()
    assert asked[0].text == f"The votes are divided: {QUESTION} (one of 12 options)"
    assert result.verdict == options[7]


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
