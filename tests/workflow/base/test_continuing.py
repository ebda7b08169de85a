"""Runs that continue as new after every few events: nothing that is done is done again, and people notice nothing of it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings, data_converter
from outlast.consensus.votes import ConsensusRequest
from outlast.contracts import (
    ROLL_BACK_ALL,
    Budget,
    Changes,
    DecisionLog,
    OnStepFailure,
    Part,
    Plan,
    PlanReport,
    PlanRequest,
    PlanStep,
    RunState,
    RunStatus,
    StepState,
    Trace,
    breaks,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.routing.requests import RequestText, RouteRequest
from outlast.stages.contracts import Rubric, StagedRequest
from outlast.storage.activities import ContentStore
from tests.processes import dev_server
from tests.workflow.base.test_agent_session import calls, in_turn
from tests.workflow.budget.budgeting import chain, dear, fan_out, gate_of, priced, status_of
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.plans import staging
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.request_handling import RequestHandlingWorkflow

PLAN = PlanAndExecuteWorkflow.run
EVENTS = 30
"""Events after which the server suggests to continue as new: it refuses nothing below its own 51,200."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    options = ("--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={EVENTS}")
    with dev_server(tmp_path_factory.mktemp("continuing"), options=options) as running:
        yield running.address


@pytest.fixture
async def runner(server: str, settings: Settings, store: ContentStore) -> Runner:
    client = await Client.connect(server, data_converter=data_converter(settings.payload_limit_bytes))
    own = settings.model_copy(update={"task_queue": f"test-{uuid4().hex[:8]}"})
    return Runner(WorkflowEnvironment.from_client(client), own, store)


async def parts_of(handle: WorkflowHandle[Any, Any]) -> int:
    """Count the parts that a run has had."""
    client, count = handle._client, 0
    run_id: str = (await client.get_workflow_handle(handle.id).describe()).run_id
    while run_id:
        count += 1
        events = client.get_workflow_handle(handle.id, run_id=run_id).fetch_history_events(page_size=1)
        first = await anext(aiter(events))
        run_id = first.workflow_execution_started_event_attributes.continued_execution_run_id
    return count


def questions(asked: list[ModelCall]) -> Counter[str]:
    """Count the calls by what they ask."""
    return Counter(call.messages[-1][1] for call in asked)


async def test_a_plan_crosses_many_parts_and_no_step_is_done_twice(runner: Runner, tmp_path: Path) -> None:
    runner = with_agents(runner, tmp_path / "agents", {"a": "model: sonnet"})
    async with runner.worker(lambda call: f"answer to {call.messages[-1][1]}") as llm:
        handle = await runner.start(PLAN, fan_out(40, None, max_parallel=4))
        result = await handle.result()
        parts = await parts_of(handle)
        status = await status_of(handle)
        trace = await handle.query("trace", result_type=Trace)
    assert parts >= 4
    assert set(questions(llm.calls).values()) == {1}
    assert (len(llm.calls), result.done, result.spend.calls, result.state) == (40, 40, 40, RunState.COMPLETED)
    report = PlanReport.model_validate_json(await runner.text(result.report))
    assert [row.step for row in report.steps] == [str(number) for number in range(1, 41)]
    assert {row.state for row in report.steps} == {StepState.DONE}
    assert sorted(call.step for call in report.trace.calls) == sorted(row.step for row in report.steps)
    ended = [row.ended for row in sorted(report.steps, key=lambda row: int(row.step)) if row.ended]
    assert len(set(ended)) > parts, "a row keeps the time at which its step ended"
    assert len(trace.earlier) == parts - 1
    assert len(status.steps) == 40
    assert {answer.step: await runner.text(answer.content) for answer in result.answers} == {
        str(number): f"answer to Question {number}?" for number in range(1, 41)
    }
