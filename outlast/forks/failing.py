"""What a run has failed with: the server keeps it where no step and no query can tell."""

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowFailureError

from outlast.errors import ErrorKind, kind_of, text_of

FAILED = (WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT)


async def failure_of(client: Client, found: WorkflowExecutionDescription) -> WorkflowFailureError | None:
    """Return what a run has failed with; None where it has not failed."""
    if found.status not in FAILED:
        return None
    try:
        await client.get_workflow_handle(found.id, run_id=found.run_id).result(follow_runs=False)
    except WorkflowFailureError as error:
        return error
    return None


async def wrong_input_of(client: Client, found: WorkflowExecutionDescription) -> str:
    """Return why a run was refused before it began, "" for any other: it answers no query, because it never had a state."""
    failed = await failure_of(client, found)
    refused = failed is not None and kind_of(failed.cause) is ErrorKind.INPUT_INVALID
    return f"{ErrorKind.INPUT_INVALID}: {text_of(failed.cause)}" if failed and refused else ""
