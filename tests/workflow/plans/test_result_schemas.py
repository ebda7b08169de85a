"""Sessions, plans, research and consensus give their result in JSON by the caller's schema, or fail with a type."""

import json
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.search.contracts import SourceKind
from outlast.agents.sessions import AgentSessionRequest
from outlast.consensus.votes import ConsensusRequest, Rule, RuleKind
from outlast.contracts import Part, Plan, PlanRequest, PlanStep, RunResult
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall
from outlast.llm.scripted import Script
from tests.workflow.choosing.researching import Given, hit
from tests.workflow.conftest import Runner
from workflows.agent_session import AgentSessionWorkflow
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.contracts.research import ResearchRequest, ResearchResult, SourcePlan
from workflows.parallel_research import ParallelResearchWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
VOTE = json.dumps({"evidence": [], "reasons": "r", "verdict": "yes", "confidence": 0.9})
ALL = Rule(kind=RuleKind.UNANIMOUS)  # so that no voter is cancelled
STEPS = Plan(
    steps=(
        PlanStep(step="1", agent="analyst", input="a"),
        PlanStep(step="2", agent="analyst", input="b", depends_on=("1",)),
    )
)
RUNS: dict[str, tuple[Any, Any]] = {
    "session": (AgentSessionWorkflow.run, AgentSessionRequest(agent="file-clerk", task="t", result_schema=SCHEMA)),
    "plan": (PlanAndExecuteWorkflow.run, PlanRequest(plan=STEPS, result_schema=SCHEMA)),
    "research": (
        ParallelResearchWorkflow.run,
        ResearchRequest(topic="tides", sources=(SourcePlan(source=SourceKind.WEB),), result_schema=SCHEMA),
    ),
    "consensus": (
        ConsensusAnalysisWorkflow.run,
        ConsensusRequest(question="q", material=Part(text="m"), rule=ALL, result_schema=SCHEMA),
    ),
}


def answering(*typed: str) -> Script:
    """Give the texts in turn where our schema is asked for, by how often one was sent back; anything usable elsewhere."""

    def script(call: ModelCall) -> str:
        if call.output_schema == SCHEMA:
            told = (*call.history, *call.messages)
            sent_back = sum("That answer cannot be used" in str(message) for message in told)
            return typed[min(sent_back, len(typed) - 1)]
        return VOTE if call.output_schema else "The moon pulls the sea [W1]."

    return script


async def run(runner: Runner, kind: str, script: Script) -> Any:
    workflow, request = RUNS[kind]
    async with runner.worker(script, {SourceKind.WEB: Given((hit("Moon"),))}):
        return await (await runner.start(workflow, request)).result()


@pytest.mark.parametrize("kind", RUNS)
async def test_the_result_is_json_by_the_schema_of_the_caller_once_it_is_repaired(runner: Runner, kind: str) -> None:
    result: RunResult = await run(runner, kind, answering('{"score": "high"}', '{"score": 7}'))
    assert json.loads(await runner.text(result.data)) == {"score": 7}
    assert result.data is not None
    assert result.data.media_type == "application/json"


@pytest.mark.parametrize("kind", RUNS)
async def test_what_never_fits_the_schema_is_a_typed_failure(runner: Runner, kind: str) -> None:
    with pytest.raises(WorkflowFailureError) as caught:
        await run(runner, kind, answering('{"score": "high"}'))
    assert kind_of(caught.value.cause) is ErrorKind.OUTPUT_INVALID
    if kind == "research":
        assert isinstance(caught.value.cause, ApplicationError)
        left = ResearchResult.model_validate(caught.value.cause.details[0])
        assert left.answer is not None  # what was paid for is in the failure
