"""Scripts a panel: what each agent answers when it votes, judges, fails, or is held in the middle of its call; and runs it."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from outlast.consensus.votes import ConsensusKind, ConsensusRequest, ConsensusResult, Voter, VoteState
from outlast.consensus.voting import PANEL
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from tests.workflow.conftest import Runner
from workflows.consensus_analysis import ConsensusAnalysisWorkflow

RUN = ConsensusAnalysisWorkflow.run
WHO = {
    "You are an analyst": "analyst",
    "You are a sceptic": "sceptic",
    "You are a careful reader": "general",
    "You are a legal analyst": "legal",
    "You are a financial analyst": "financial",
    "You are a judge": "judge",
    "You compare analyses": "consensus",
    "You are a capable generalist": "generalist",
}
HOLD = "hold"
FAIL = "fail"
FIVE = PANEL
TWO = PANEL[:2]
QUESTION = "Does the lease bind the tenant?"


def who(call: ModelCall) -> str:
    """Tell which agent is called."""
    return next(name for beginning, name in WHO.items() if call.system.startswith(beginning))


def verdict(option: str, **fields: Any) -> str:
    """Write a verdict as a model does."""
    given = {"evidence": ["shall pay rent"], "reasons": f"It says {option}.", "verdict": option, "confidence": 0.8}
    return json.dumps(given | fields)


async def held() -> str:
    """Never answer; only cancelling ends the call."""
    await asyncio.Event().wait()
    return ""


def panel(**says: str) -> Script:
    """Script each agent by name: an option to choose, FAIL, or HOLD; who is not named must not be asked.

    Nobody answers before all who hold were asked: a voter that is cancelled before its call began has cost nothing.
    """
    waiting, all_asked = {name for name, said in says.items() if said == HOLD}, asyncio.Event()

    def script(call: ModelCall) -> "str | Awaitable[str]":
        said = says[who(call)]
        waiting.discard(who(call))
        if not waiting:
            all_asked.set()
        if said == HOLD:
            return held()
        return voting(said)

    async def voting(said: str) -> str:
        await all_asked.wait()
        if said == FAIL:
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")
        return verdict(said)

    return script


def five(analyst: str, sceptic: str, general: str, legal: str, financial: str, **more: str) -> Script:
    """Script the five of the panel, and whom else."""
    return panel(analyst=analyst, sceptic=sceptic, general=general, legal=legal, financial=financial, **more)


def request(voters: tuple[Voter, ...] = FIVE, **fields: Any) -> ConsensusRequest:
    """Build a request for a panel."""
    given: Mapping[str, Any] = {"question": QUESTION, "options": ("yes", "no"), "voters": voters}
    return ConsensusRequest.model_validate({**given, **fields})


async def decide(runner: Runner, script: Any, *args: Any, **fields: Any) -> tuple[ConsensusResult, list[ModelCall]]:
    result, llm = await runner.run(script, RUN, request(*args, **fields))
    assert isinstance(result, ConsensusResult)
    return result, llm.calls


async def failure(runner: Runner, script: Any, *args: Any, **fields: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await decide(runner, script, *args, **fields)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


def found(*claims: tuple[str, str], answer: str = "It binds.") -> str:
    """Write findings as a model does: claims with the passage that each quotes."""
    findings = [{"claim": claim, "evidence": [quote], "confidence": 0.9} for claim, quote in claims]
    return json.dumps({"findings": findings, "answer": answer})


def analysts(**says: str) -> Script:
    """Script each agent by name with its whole answer, or FAIL."""

    def script(call: ModelCall) -> str:
        said = says[who(call)]
        if said == FAIL:
            raise non_retryable(ErrorKind.MODEL_REJECTED, "not today")
        return said

    return script


def free(voters: tuple[Voter, ...] = FIVE[:3], **fields: Any) -> ConsensusRequest:
    """Build a request for free analyses."""
    return ConsensusRequest.model_validate(
        {"question": QUESTION, "voters": voters, "kind": ConsensusKind.FINDINGS, **fields}
    )


def states(result: ConsensusResult) -> dict[VoteState, int]:
    found = [vote.state for vote in result.votes]
    return {state: found.count(state) for state in VoteState if state in found}


def words(call: ModelCall) -> int:
    return sum(len(text.split()) for _, text in call.messages) + len(call.system.split())


def said(call: ModelCall) -> str:
    return "\n".join(text for _, text in call.messages)
