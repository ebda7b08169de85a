"""Every workflow takes back what its tools changed: asked by a person, failed, or stopped by its budget."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.search.contracts import SourceKind
from outlast.agents.sessions import AgentSessionRequest
from outlast.consensus.votes import ConsensusRequest
from outlast.contracts import ROLL_BACK_ALL, Budget, Changes, ChangeState, Part, PlanRequest, RollbackAnswer
from outlast.documents.contracts import DocumentSource
from outlast.errors import ErrorKind, kind_of
from outlast.llm.base import ModelCall
from outlast.routing.requests import Category, RequestText, RouteRequest, RouteResult
from outlast.stages.contracts import StagedRequest
from tests.served import SERVED
from tests.workflow.choosing.routing import calls
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.undo.refunding import wanted
from tests.workflow.undo.rolling_back import REFUSAL
from workflows.contracts.documents import DocumentAnalysisRequest
from workflows.contracts.research import ResearchRequest, SourcePlan
from workflows.request_handling import RequestHandlingWorkflow

REQUESTS: dict[str, Any] = {
    "AgentSessionWorkflow": AgentSessionRequest(agent="file-clerk", task="t"),
    "ConsensusAnalysisWorkflow": ConsensusRequest(question="q", material=Part(text="m")),
    "DocumentAnalysisWorkflow": None,
    "ParallelResearchWorkflow": ResearchRequest(topic="tides", sources=(SourcePlan(source=SourceKind.LOCAL),)),
    "PlanAndExecuteWorkflow": PlanRequest(task="t"),
    "RefundWorkflow": wanted(),
    "RequestHandlingWorkflow": RouteRequest(requests=(RequestText(name="r", text=Part(text="x")),)),
    "StagedDeliveryWorkflow": StagedRequest(task="t"),
}
CLERK = {"clerk": "tools: Write", "request-classifier": ""}
WRITES = calls(("write_file", {"path": "a.md", "content": "A"}))


async def hold(_: ModelCall) -> Any:
    await asyncio.sleep(3600)


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.__name__)
async def test_a_person_can_have_any_run_rolled_back(runner: Runner, kind: Any) -> None:
    request = REQUESTS[kind.__name__]
    if request is None:
        ref = await runner.store.put(b"A short letter about the garden.")
        source = DocumentSource(name="a.md", ref=ref, size=32)
        request = DocumentAnalysisRequest(documents=(source,))
    async with runner.worker(hold) as llm:
        handle = await runner.start(kind.run, request)
        async with asyncio.timeout(30):
            while not llm.calls:  # noqa: ASYNC110 - the model double has no event to wait for
                await asyncio.sleep(0.02)
        answer = await handle.execute_update("rollback", result_type=RollbackAnswer)
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert answer == RollbackAnswer(accepted=True)
    assert kind_of(caught.value.cause) is ErrorKind.ROLLED_BACK


def routing(**fields: Any) -> RouteRequest:
    return RouteRequest(
        requests=(RequestText(name="r", text=Part(text="Write it down.")),),
        categories=(Category(name="notes", agent="clerk", description="d"),),
        general="notes",
        on_failure=ROLL_BACK_ALL,
        **fields,
    )


def writing_then(last: Any) -> Any:
    def script(call: ModelCall) -> Any:
        if "request-classifier" in call.system:
            return json.dumps({"category": "notes", "confidence": 0.9})
        return last if any(message["role"] == "assistant" for message in call.history) else WRITES

    return script


async def test_handlers_that_fail_leave_nothing_behind_and_the_result_says_so(runner: Runner, tmp_path: Path) -> None:
    ours = with_agents(runner, tmp_path / "agents", CLERK)
    with pytest.raises(WorkflowFailureError) as caught:
        await ours.run(writing_then(REFUSAL), RequestHandlingWorkflow.run, routing())
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    assert "rolled back: 1 undone" in str(error)
    result = RouteResult.model_validate(error.details[0])
    assert [change.state for change in result.changes.changes] == [ChangeState.UNDONE]
    assert list(runner.settings.workspace.iterdir()) == []


async def test_a_run_that_its_budget_stops_takes_back_and_one_that_ends_well_lists(
    runner: Runner, tmp_path: Path
) -> None:
    ours = with_agents(runner, tmp_path / "agents", CLERK)
    result, _ = await ours.run(writing_then("Done."), RequestHandlingWorkflow.run, routing())
    assert [change.state for change in result.changes.changes] == [ChangeState.DONE]
    assert (runner.settings.workspace / "a.md").read_text() == "A"
    (runner.settings.workspace / "a.md").unlink()
    with pytest.raises(WorkflowFailureError) as caught:
        await ours.run(writing_then("Done."), RequestHandlingWorkflow.run, routing(budget=Budget(calls=2)))
    error = caught.value.cause
    assert isinstance(error, ApplicationError)
    assert kind_of(error) is ErrorKind.BUDGET_REACHED
    changes: Changes = RouteResult.model_validate(error.details[0]).changes
    assert [change.state for change in changes.changes] == [ChangeState.UNDONE]
    assert list(runner.settings.workspace.iterdir()) == []
