"""Consensus without options: what analysts find freely, what they agree on and dispute, and what happens when some fail."""

import json
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from outlast.consensus.contracts import Agreement, Firmness
from outlast.consensus.votes import ConsensusRequest, ConsensusResult, Voter, VoteState
from outlast.contracts import Part, RunState
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.llm.scripted import Script
from tests.workflow.choosing.voting import FAIL, FIVE, RUN, analysts, found, free, said, states, who
from tests.workflow.conftest import Runner
from tests.workflow.plans.test_document_analysis import LEASE, source

RENT = ("The tenant pays rent.", "shall pay rent")
PETS = ("Dogs are allowed.", "dogs may be kept")
GROUPED = {
    "points": [
        {"statement": "rent", "positions": [{"position": "The tenant pays.", "claims": ["A1", "B1"]}]},
        {
            "statement": "pets",
            "positions": [{"position": "allowed", "claims": ["A2"]}, {"position": "forbidden", "claims": ["C1"]}],
        },
    ],
    "answer": "The tenant pays rent; pets are disputed.",
}
THREE = {
    "analyst": found(RENT, PETS),
    "sceptic": found(RENT, ("The roof leaks.", "never written")),
    "general": found(("No pets.", "shall pay rent")),
}


async def run(runner: Runner, says: dict[str, str], **fields: Any) -> tuple[ConsensusResult, list[str], Agreement]:
    document = await source(runner, "lease.md", LEASE)
    result, llm = await runner.run(analysts(**says), RUN, free(document=document, **fields))
    assert isinstance(result, ConsensusResult)
    assert result.findings is not None
    whole = Agreement.model_validate_json(await runner.text(result.findings.full))
    return result, [who(call) for call in llm.calls], whole


async def failure(runner: Runner, script: Script, request: ConsensusRequest) -> BaseException:
    with pytest.raises(WorkflowFailureError) as caught:
        await runner.run(script, RUN, request)
    return caught.value.cause


async def test_what_is_agreed_disputed_and_seen_by_one_is_told_apart_with_evidence(runner: Runner) -> None:
    result, asked, whole = await run(runner, {**THREE, "consensus": json.dumps(GROUPED)})
    summary = result.findings
    assert summary is not None
    assert (summary.agreed, summary.disputed, summary.single) == (1, 1, 1)
    assert (summary.quotes, summary.quotes_found, summary.firmness) == (5, 3, Firmness.MIXED)
    assert await runner.text(summary.answer) == GROUPED["answer"]
    assert whole.agreed[0].by == ("analyst", "sceptic")
    assert whole.agreed[0].positions[0].evidence[0].place.startswith("lease.md, line ")
    assert [side.by for side in whole.disputed[0].positions] == [("analyst",), ("general-analyst",)]
    assert [point.statement for point in whole.single] == ["The roof leaks."]
    assert [vote.reasons for vote in result.votes] == ["It binds."] * 3
    assert (result.state, result.verdict, result.decided_by) == (RunState.COMPLETED, "", "consensus")
    assert sorted(asked) == ["analyst", "consensus", "general", "sceptic"]
    assert "claims that the consensus agent left out stand as they are: 1" in result.notes


async def test_each_analyst_has_its_own_angle_and_the_consensus_agent_sees_only_checked_claims(runner: Runner) -> None:
    document = await source(runner, "lease.md", LEASE)
    voters = (Voter(agent="analyst", angle="Mind the dates."), Voter(agent="sceptic"))
    says = {"analyst": found(RENT), "sceptic": found(RENT), "consensus": json.dumps({"points": [], "answer": ""})}
    _, llm = await runner.run(analysts(**says), RUN, free(voters, document=document))
    texts = {who(call): said(call) for call in llm.calls}
    assert "Mind the dates." in texts["analyst"]
    assert "Mind the dates." not in texts["sceptic"]
    assert '[A1] analyst, 90% sure: The tenant pays rent.\n  "shall pay rent" (lease.md, line' in texts["consensus"]
    assert "NOT found" not in texts["consensus"]


async def test_a_failed_analyst_is_named_and_the_others_still_agree(runner: Runner) -> None:
    grouping = {
        "points": [{"statement": "rent", "positions": [{"position": "", "claims": ["A1", "B1"]}]}],
        "answer": "x",
    }
    says = {"analyst": found(RENT), "sceptic": FAIL, "general": found(RENT), "consensus": json.dumps(grouping)}
    result, _, whole = await run(runner, says)
    assert states(result) == {VoteState.CAST: 2, VoteState.FAILED: 1}
    assert (result.votes[1].voter, "not today" in result.votes[1].error) == ("sceptic", True)
    assert (result.state, whole.agreed[0].by) == (RunState.PARTIAL, ("analyst", "general-analyst"))


async def test_a_failed_consensus_agent_costs_the_grouping_and_not_the_claims(runner: Runner) -> None:
    says = {**THREE, "consensus": FAIL, "generalist": FAIL}
    result, _, whole = await run(runner, says)
    assert (result.state, result.findings and result.findings.grouped) == (RunState.PARTIAL, False)
    assert [point.by for point in whole.agreed] == [("analyst", "sceptic")], "they used the same words"
    assert len(whole.single) == 3
    assert any("the consensus agent failed" in note for note in result.notes)


async def test_one_analyst_left_has_nothing_to_agree_on_and_none_is_a_failure(runner: Runner) -> None:
    result, asked, whole = await run(runner, {"analyst": found(RENT), "sceptic": FAIL, "general": FAIL})
    assert (len(whole.single), whole.agreed, "consensus" in asked) == (1, (), False)
    assert "only analyst answered, so there is nothing to agree on" in result.notes
    material = Part(text="The tenant shall pay rent.")
    failed = await failure(
        runner, analysts(analyst=FAIL, sceptic=FAIL, general=FAIL), free(FIVE[:3], material=material)
    )
    assert kind_of(failed) is ErrorKind.NOTHING_SUCCEEDED
    assert "sceptic: " in text_of(failed)


async def test_what_cannot_be_analysed_is_refused_with_its_field(runner: Runner) -> None:
    voters = (Voter(agent="consensus"), Voter(agent="analyst", weight=2))
    failed = await failure(runner, analysts(), free(voters))
    said = text_of(failed)
    assert all(field in said for field in ("document:", "voters[1].weight:", "consensus_agent:")), said
