"""The command that changes a run: `cancel`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.reaching import Reach

WAIT = 10.0
"""Seconds to wait for a cancelled run to end."""


def register(app: typer.Typer) -> None:
    """Mount the commands."""
    app.command()(cancel)


def cancel(run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]) -> None:
    """Ask a run to stop, and say what came of it."""
    from cli.reaching import reaching

    print(reaching(lambda reach: _cancel(reach, run_id)))


async def _cancel(reach: "Reach", workflow_id: str) -> str:
    import asyncio

    from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
    from temporalio.exceptions import CancelledError

    from cli.leaving import cause_of
    from cli.reaching import no_worker, word

    found = await reach.find(workflow_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return f"{workflow_id} had ended already ({word(found.status)}); nothing was cancelled"
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    await handle.cancel()
    if not await reach.served(found.task_queue):
        raise no_worker(
            found.task_queue, f"the wish to cancel {workflow_id!r} is kept, and carried out by the next worker"
        )
    try:
        async with asyncio.timeout(WAIT):
            await handle.result()
    except TimeoutError:
        return f"{workflow_id} is asked to stop and has not yet: starter.py watch {workflow_id}"
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError):
            return f"{workflow_id} is cancelled"
        return f"{workflow_id} failed before it could be cancelled: {cause_of(error)}"
    return f"{workflow_id} was done before it could be cancelled: starter.py result {workflow_id}"
