"""The commands that change a run: `cancel`, `rollback`, and `answer` where it asks a person."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from outlast.cli.reaching import Reach

WAIT = 10.0
"""Seconds to wait for a cancelled run to end."""


def cancel(run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")]) -> None:
    """Cancel a run, and say how it ended."""
    from outlast.cli.reaching import reaching

    print(reaching(lambda reach: _cancel(reach, run_id)))


def rollback(
    run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")],
    to: Annotated[
        str, typer.Option(help="Only back to this checkpoint, for instance a step of a plan that is done.")
    ] = "",
) -> None:
    """Undo what the tools of a run changed, and list what became of each change; a running run is stopped first.

    Exit code 1 if something could not be undone.
    """
    from outlast.cli.leaving import FAILED, LeavingError
    from outlast.cli.reaching import reaching

    page, whole = reaching(lambda reach: _roll_back(reach, run_id, to))
    print(page)
    if not whole:
        raise LeavingError(FAILED, "not every change could be undone")


async def _roll_back(reach: "Reach", workflow_id: str, checkpoint: str) -> tuple[str, bool]:
    from contextlib import suppress

    from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import must_have_begun
    from outlast.cli.runs.ended_rollback import roll_back_ended, rollback_page
    from outlast.contracts import Changes, RollbackAnswer

    found = await reach.find(workflow_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return await roll_back_ended(reach, found, checkpoint)
    must_have_begun(found)
    if not await reach.served(found):
        raise await reach.no_worker(found, f"{workflow_id!r} goes on as it is")
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    given = [{"checkpoint": checkpoint}] if checkpoint else []
    answer = await handle.execute_update("rollback", args=given, result_type=RollbackAnswer)
    if not answer.accepted:
        raise LeavingError(WRONG, f"{workflow_id} is not rolled back: {answer.reason}")
    with suppress(WorkflowFailureError):  # that is how such a run ends
        await handle.result()
    changes = await handle.query("changes", result_type=Changes)
    return rollback_page(workflow_id, changes)


def answer(
    run_id: Annotated[str, typer.Argument(help="Id of the run.", metavar="ID")],
    text: Annotated[str, typer.Argument(help="The answer.", metavar="TEXT")],
    question: Annotated[str | None, typer.Option(help="Which question, where several are open: question-1.")] = None,
) -> None:
    """Answer what a run asks a person. Exit code 2 if it asks nothing, or if that is no answer to it."""
    from outlast.cli.reaching import reaching

    print(reaching(lambda reach: send_answer(reach, run_id, text, question)))


async def send_answer(reach: "Reach", workflow_id: str, text: str, question: str | None, key: str = "") -> str:
    """Answer an open question of a run (None: the only one) and say what came of it; raises LeavingError if it is not taken.

    A session knows by the `key` an answer that is sent again.
    """
    from temporalio.client import WorkflowExecutionStatus

    from outlast.cli.leaving import WRONG, LeavingError
    from outlast.cli.reaching import PATIENT_DEADLINE, word
    from outlast.contracts import RunStatus

    found = await reach.find(workflow_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise LeavingError(WRONG, f"{workflow_id} has ended already ({word(found.status)}); nothing was answered")
    before = await reach.ask(found, "status", RunStatus, within=PATIENT_DEADLINE)
    asked = [one for one in before.questions if question in (None, one.id)]
    if len(asked) != 1:
        open_ones = ", ".join(one.id for one in before.questions) or "none"
        raise LeavingError(WRONG, f"name one open question with --question; {workflow_id} has {open_ones}")
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    await handle.signal("answer", {"question": asked[0].id, "answer": text} | ({"key": key} if key else {}))
    after = await reach.ask(found, "status", RunStatus, within=PATIENT_DEADLINE)
    if asked[0].id in [one.id for one in after.questions]:
        raise LeavingError(WRONG, f"not taken: {after.notices[-1] if after.notices else asked[0].text}")
    return f"{asked[0].id} of {workflow_id} is answered: {text}"


async def _cancel(reach: "Reach", workflow_id: str) -> str:
    import asyncio

    from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
    from temporalio.exceptions import CancelledError

    from outlast.cli.leaving import cause_of
    from outlast.cli.reaching import word
    from outlast.command_line import command

    found = await reach.find(workflow_id)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return f"{workflow_id} had ended already ({word(found.status)}); nothing was cancelled"
    handle = reach.client.get_workflow_handle(workflow_id, run_id=found.run_id)
    await handle.cancel()
    if not await reach.served(found):
        raise await reach.no_worker(found, f"{workflow_id!r} is asked to stop, and does once a worker is back")
    try:
        async with asyncio.timeout(WAIT):
            await handle.result()
    except TimeoutError:
        return f"{workflow_id} is asked to stop and has not yet: {command('watch', workflow_id)}"
    except WorkflowFailureError as error:
        if isinstance(error.cause, CancelledError):
            return f"{workflow_id} is cancelled"
        return f"{workflow_id} failed before it could be cancelled: {cause_of(error)}"
    return f"{workflow_id} was done before it could be cancelled: {command('result', workflow_id)}"
