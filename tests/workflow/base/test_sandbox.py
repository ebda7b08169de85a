"""The sandbox of worker processes: its restrictions hold in every run, and workflow code is imported once."""

import asyncio
from datetime import datetime
from uuid import uuid4

from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import RestrictedWorkflowAccessError, SandboxedWorkflowRunner

from outlast.client import Settings
from outlast.worker.sandbox import SharingRunner
from outlast.worker.serving import runner_of
from tests.workflow.conftest import Runner

RUNS: list[str] = []


@workflow.defn
class Counting:
    """Counts in a variable of its module, and looks at the clock of the machine where it is asked to."""

    @workflow.run
    async def run(self, clock: bool) -> int:
        RUNS.append(workflow.info().workflow_id)
        await workflow.sleep(0.01)  # a second activation, perhaps in another thread
        if clock:
            datetime.now()  # noqa: DTZ005
        return len(RUNS)


def sharing(settings: Settings) -> SharingRunner:
    """The runner of a worker process; the test's own imports are those of the module, not of each run."""
    runner = runner_of(settings, ["tests.workflow.conftest", "tests.served", "pytest", "outlast"])
    assert isinstance(runner, SharingRunner)
    return runner


async def counted(client: Client, runner: SandboxedWorkflowRunner, *clocks: bool) -> list[int | BaseException]:
    queue = f"sandbox-{uuid4().hex[:8]}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Counting],
        workflow_runner=runner,
        workflow_failure_exception_types=[RestrictedWorkflowAccessError],
    ):
        runs = [
            client.execute_workflow(Counting.run, clock, id=f"{queue}-{number}", task_queue=queue)
            for number, clock in enumerate(clocks)
        ]
        return await asyncio.gather(*runs, return_exceptions=True)


async def test_code_is_imported_once_and_every_run_is_policed(real_runner: Runner, settings: Settings) -> None:
    ends = await counted(real_runner.env.client, sharing(settings), *([False] * 6), *([True] * 6), *([False] * 6))

    numbers = [end for end in ends if isinstance(end, int)]
    assert len(numbers) == 12
    assert max(numbers) > 1, "runs see one module"
    refused = [end for end in ends if isinstance(end, WorkflowFailureError)]
    assert len(refused) == 6
    assert all("datetime.datetime.now" in str(end.cause) for end in refused)


async def test_tests_import_it_anew_for_each_run(real_runner: Runner, settings: Settings) -> None:
    full = SandboxedWorkflowRunner(restrictions=sharing(settings).restrictions)

    assert await counted(real_runner.env.client, full, False, False, False) == [1, 1, 1]
