"""`temporal workflow reset` to every workflow task of recorded runs: they finish, nothing that was paid is paid again, and what
tools change keeps its key. Who approves is asked again wherever the approval is from before.
"""

import asyncio
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle

from outlast.agents.sessions import AgentSessionRequest
from outlast.contracts import CheckpointPolicy, CheckpointWhen, Effect, Plan, PlanRequest, PlanStep, RunStatus
from outlast.llm.base import ModelCall
from outlast.stages.contracts import StagedRequest
from outlast.tools.tool import tool
from tests.workflow.choosing import voting
from tests.workflow.conftest import Runner, with_agents
from tests.workflow.plans import staging
from tests.workflow.talking.test_agent_session import calls, results
from workflows.agent_session import AgentSessionWorkflow
from workflows.consensus_analysis import ConsensusAnalysisWorkflow
from workflows.plan_and_execute import PlanAndExecuteWorkflow
from workflows.staged_delivery import StagedDeliveryWorkflow

COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


async def tasks_of(handle: WorkflowHandle[Any, Any]) -> list[int]:
    """The workflow tasks that the server takes for the point of a reset: all but the last, which ended the run."""
    events = (await handle.fetch_history()).events
    return [event.event_id for event in events if event.event_type == COMPLETED][:-1]


async def reset(client: Client, handle: WorkflowHandle[Any, Any], task: int) -> WorkflowHandle[Any, Any]:
    asked = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.first_execution_run_id or ""),
        reason="a test",
        workflow_task_finish_event_id=task,
        request_id=f"to-{task}",
    )
    answer = await client.workflow_service.reset_workflow_execution(asked)
    return client.get_workflow_handle(handle.id, run_id=answer.run_id)


async def approving(handle: WorkflowHandle[Any, Any]) -> Any:
    """Approve whatever waits until the run has ended; returns its result."""
    result = asyncio.create_task(handle.result())
    decided: set[str] = set()
    while not result.done():
        status: RunStatus = await handle.query("status", result_type=RunStatus)
        for gate in status.gates:
            if f"{gate.name} {gate.digest}" not in decided:
                decided.add(f"{gate.name} {gate.digest}")
                await handle.signal("approve", {"gate": gate.name, "by": "ann", "digest": gate.digest})
        await asyncio.wait([result], timeout=0.05)
    return result.result()


def essence(result: Any) -> Any:
    """What a run came to, without what it took and without what people were asked on the way."""
    data = result if isinstance(result, dict) else result.model_dump(mode="json")
    return {name: data.get(name) for name in ("state", "answers", "answer", "verdict", "stages", "stopped")}


class Words(BaseModel):
    text: str


def script(call: ModelCall) -> Any:
    """Answer for every pattern: a session writes a file and shouts, a stage is one step, a voter says yes."""
    if call.tools:
        turn = sum(message["role"] == "assistant" for message in call.history)
        acts = ("write_file", {"path": "a.md", "content": "A"}), ("shout", {"text": "hey"})
        return calls(acts[turn], turn=turn + 1) if turn < len(acts) else f"{len(results(call))} done"
    if call.output_schema and "verdict" in str(call.output_schema):
        return voting.verdict("yes")
    if staging.kind_of_call(call) == "plan":
        return staging.one_step(call)
    return f"answer to {staging.asked(call)}"


PLAN = Plan(
    steps=(
        PlanStep(step="1", agent="writer", input="do 1"),
        PlanStep(step="2", agent="writer", input="do 2"),
        PlanStep(step="3", agent="writer", input="do 3", depends_on=("1", "2"), confirm=True),
        PlanStep(step="4", agent="writer", input="do 4", depends_on=("3",)),
    )
)


EVERY_STAGE = CheckpointPolicy(when=CheckpointWhen.EVERY_STAGE)


async def test_a_reset_to_any_task_finishes_and_pays_nothing_again(real_runner: Runner, tmp_path: Path) -> None:
    clerk = {"clerk": "model: sonnet\ntools: write_file, shout"}
    runner = with_agents(real_runner, tmp_path / "agents", clerk)
    client = real_runner.env.client
    stages = (staging.stage("outline"), staging.stage("draft", max_steps=2))
    # With each run, how many tasks must follow one another before the last; two votes can arrive in the same one.
    runs: list[tuple[Any, Any, int]] = [
        (PlanAndExecuteWorkflow.run, PlanRequest(plan=PLAN), 4),
        (StagedDeliveryWorkflow.run, StagedRequest(task=staging.TASK, stages=stages, checkpoint=EVERY_STAGE), 4),
        (ConsensusAnalysisWorkflow.run, voting.request(voting.TWO), 1),
        (AgentSessionWorkflow.run, AgentSessionRequest(agent="clerk", task="Write a.md, then shout"), 3),
    ]
    keys: list[str] = []

    @tool(effect=Effect.IRREVERSIBLE)
    def shout(arguments: Words, key: str) -> str:
        """Shout something: nobody can unhear it."""
        keys.append(key)
        return f"shouted {arguments.text}"

    runner.settings.workspace.mkdir(parents=True, exist_ok=True)
    async with runner.worker(script, tools=[shout]) as llm:
        for workflow, request, fewest in runs:
            llm.calls.clear()
            keys.clear()
            first = await runner.start(workflow, request)
            was = essence(await approving(first))
            paid, used = len(llm.calls), set(keys)
            points = await tasks_of(first)
            assert len(points) >= fewest, workflow
            for point in points:
                again = await reset(client, first, point)
                assert essence(await approving(again)) == was, f"{workflow} at event {point}"
                more = [staging.said(call)[:60] for call in llm.calls[paid:]]
                assert more == [], f"{workflow} at event {point}"
            assert set(keys) == used
