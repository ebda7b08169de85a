"""The path of a run with a stream: pieces are published while it goes on, and forgotten once its calls have ended."""

from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.contrib.workflow_streams import WorkflowStreamClient

from outlast.contracts import STREAM_TOPIC, Plan, PlanRequest, PlanStep, Streamed
from tests.replay.path import Path
from tests.workflow.conftest import Runner
from workflows.plan_and_execute import PlanAndExecuteWorkflow

STEPS = (
    PlanStep(step="look", agent="researcher", input="Look."),
    PlanStep(step="act", agent="writer", input="Act.", depends_on=("look",), confirm=True),
)


async def _request(runner: Runner) -> PlanRequest:
    return PlanRequest(plan=Plan(steps=STEPS), stream=True)


async def _publish(handle: WorkflowHandle[Any, Any]) -> None:
    """Publish what a call would: the scripted model says all it has to say at once, before any piece of it is due."""
    stream = WorkflowStreamClient(handle)
    topic = stream.topic(STREAM_TOPIC, type=dict[str, Any])
    for text in ("All is ", "well."):
        topic.publish(Streamed(call="2", text=text).model_dump())
        await stream.flush()


STREAM_PATHS: dict[str, Path] = {
    "plan-streamed": Path(
        PlanAndExecuteWorkflow.run,
        _request,
        lambda: lambda _: "All is well.",
        people=_publish,
        decisions=(("approve", {"by": "ann"}),),
    )
}
