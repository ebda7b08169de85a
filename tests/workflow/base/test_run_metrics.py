"""What a run counts is counted once, also where a workflow task of it is done again."""

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from outlast.tracing.run_metrics import count
from tests.workflow.conftest import Runner

FAILED: list[bool] = []


@workflow.defn
class Counting:
    """Counts, and fails its first task by a bug, so that the server has it done again."""

    @workflow.run
    async def run(self) -> None:
        count("agent_steps", state="done")
        if not FAILED:
            FAILED.append(True)
            raise RuntimeError("the task is done again")
        count("agent_steps", state="done")


async def test_a_task_that_is_done_again_counts_nothing_twice(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []

    class Meter:
        def create_counter(self, _: str) -> "Meter":
            return self

        def add(self, number: int, _: object) -> None:
            added.append(number)

    monkeypatch.setattr(workflow, "metric_meter", Meter)
    unsandboxed = UnsandboxedWorkflowRunner()
    async with Worker(runner.env.client, task_queue="counting", workflows=[Counting], workflow_runner=unsandboxed):
        await runner.env.client.execute_workflow(Counting.run, id="counting", task_queue="counting")
    assert FAILED
    assert added == [1, 1]
