"""The names under which records lie in the content store, for whoever writes them and for `gc`, which looks for them."""

from temporalio import activity

from outlast.contracts import ModelRequest
from outlast.storage.activities import reference


def call_record(kind: str, namespace: str, workflow_id: str, run_id: str, activity_id: str) -> str:
    """Name the record of a call (`call`: of a model, `tool`: of a tool), the same in every attempt."""
    return f"{kind}/{namespace}/{workflow_id}/{run_id}/{activity_id}"


def this_call(kind: str) -> str:
    """Name the call of the current activity; with the run's id, so that a run that was reset calls anew."""
    info = activity.info()
    return call_record(kind, info.namespace, info.workflow_id or "", info.workflow_run_id or "", info.activity_id)


def reply_record(namespace: str, workflow_id: str, run_id: str, request: ModelRequest) -> str:
    """Name the reply to a model call, the same in every attempt and after a reset; who wants another answer forks the run."""
    asked = reference(request.model_dump_json(exclude={"number", "run", "reserved", "stream"}).encode())
    return f"reply/{namespace}/{workflow_id}/{request.run or run_id}/{request.step}/{request.number}/{asked}"


def this_reply(request: ModelRequest) -> str:
    """Name the reply to the call that the current activity makes."""
    info = activity.info()
    return reply_record(info.namespace, info.workflow_id or "", info.workflow_run_id or "", request)


def attempt_record(call: str, attempt: int) -> str:
    """Name what one attempt of a call cost."""
    return f"{call}/attempt-{attempt}"


def undo_record(kind: str, namespace: str, key: str) -> str:
    """Name the record of a call's undo (`undo`: how, `undone`: that it was)."""
    # The key holds the workflow's id, which is unique within its namespace alone.
    return f"{kind}/{namespace}/{key}"
