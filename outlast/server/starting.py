"""Operations that start runs: which workflows there are, one operation for each, and texts and files for the content store."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel
from temporalio.client import WorkflowExecutionDescription
from temporalio.exceptions import WorkflowAlreadyStartedError

from outlast.cli.kinds import SYSTEM, RunKind, kinds
from outlast.cli.reaching import Reach, word
from outlast.cli.runs.running import begin
from outlast.contracts import Content, RunRequest, carried_in
from outlast.server.access import Caller, Scope
from outlast.server.operations import Answer, Call, HttpError, find

KEY = "Idempotency-Key"
MOST_ID = 1000
"""Longest id of a run, in bytes, as the server takes it."""
DIGEST_MEMO = "http_request"
"""The memo field that holds what a run was started with, as a hash: the same key with another body is a mistake."""


class WorkflowListed(BaseModel):
    """A workflow that can be started."""

    name: str
    """The word that starts it, and the end of its path."""
    type: str
    """Its type at Temporal."""
    task_queue: str
    """The task queue that its workers serve."""


class WorkflowsListed(BaseModel):
    """The workflows that can be started."""

    workflows: list[WorkflowListed]
    """The workflows, by name."""


class Started(BaseModel):
    """A run that was started, now or by an earlier request with the same key."""

    id: str
    """Its workflow id, by which all other operations find it."""
    run_id: str
    """Its run id at Temporal."""
    type: str
    """Its workflow."""
    status: str
    """What the server says of it."""
    served: bool
    """Whether a worker polls its task queue; without one it waits."""


def startable() -> list[RunKind]:
    """Return the registered workflows whose request is known, by the word that starts them."""
    return sorted((kind for kind in kinds() if kind.request), key=lambda kind: kind.command)


async def list_workflows(call: Call) -> Answer:
    """List the workflows."""
    usual = call.reach.settings.task_queue
    return WorkflowsListed(
        workflows=[
            WorkflowListed(name=kind.command, type=kind.workflow, task_queue=kind.task_queue or usual)
            for kind in startable()
        ]
    )


def starting(kind: RunKind) -> Callable[[Call], Awaitable[Answer]]:
    """Make the operation that starts a workflow."""

    async def start(call: Call) -> Answer:
        key = key_of(call) or call.request.query_params.get("id") or ""
        return await start_as(call.reach, kind, in_name_of(call.caller, call.body), key)

    return start


def key_of(call: Call) -> str:
    """Return the key of a request, "" for none: a header is bytes, which are UTF-8 wherever they can be read so."""
    written = call.request.headers.get(KEY, "")
    try:
        return written.encode("latin-1").decode()
    except UnicodeDecodeError:
        return written


async def start_as(reach: Reach, kind: RunKind, request: RunRequest, key: str) -> Answer:
    """Start a run by its key and answer which: 201 where it was started now, 200 where it was there."""
    existed, found = await start_run(reach, kind, request, key)
    served = await reach.served(found)
    answer = Started(
        id=found.id, run_id=found.run_id, type=found.workflow_type, status=word(found.status), served=served
    )
    return (200 if existed else 201), answer


def in_name_of(caller: Caller, request: RunRequest) -> RunRequest:
    """Let a request name who asks for it; raises HttpError where that would let a caller approve their own.

    Whoever asked for a run may not approve what it proposes. So a caller that may decide asks in their own name alone, and only
    one that may not can ask for somebody else.
    """
    if not caller.name or (request.requester and Scope.DECIDE not in caller.scopes):
        return request
    if request.requester and request.requester.strip().casefold() != caller.name.casefold():
        raise HttpError(
            403,
            f"requester: this token may decide, so it starts runs as {caller.name} only; use one without the scope decide",
        )
    return request.model_copy(update={"requester": caller.name})


async def start_run(
    reach: Reach, kind: RunKind, request: RunRequest, key: str
) -> tuple[bool, WorkflowExecutionDescription]:
    """Start a run by its key, or find the one that the key has started; returns whether it was there, and the run.

    Raises HttpError where the key has started another run than this.
    """
    if made_up := list(carried_in(request)):
        raise HttpError(422, f"{', '.join(made_up)}: only a run that continues as new carries this; leave it out")
    check_id(key, KEY)
    reach.store()  # a store that cannot be opened must not be found out after the run was paid
    digest = _digest(kind.workflow, request)
    try:
        handle = await begin(
            reach,
            kind.workflow,
            request,
            workflow_id=key or None,
            summary=_summary(request),
            queue=kind.task_queue or reach.settings.task_queue,
            memo={DIGEST_MEMO: digest},
        )
    except WorkflowAlreadyStartedError:
        found = await find(reach, key)
        if await found.memo_value(DIGEST_MEMO, "", type_hint=str) != digest:
            raise HttpError(
                409, f"{KEY}: {key!r} has started another run, {found.workflow_type}; use another key"
            ) from None
        return True, found
    return False, await find(reach, handle.id)


def check_id(key: str, named: str) -> None:
    """Raise HttpError where a run cannot have this id, which was given as what is `named`."""
    if key and (not key.strip() or not key.isprintable() or len(key.encode(errors="replace")) > MOST_ID):
        raise HttpError(422, f"{named}: write at most {MOST_ID} bytes of printable characters")
    if key.startswith(SYSTEM):
        raise HttpError(422, f"{named}: ids that begin with {SYSTEM} are Temporal's own")


def _digest(workflow: str, request: RunRequest) -> str:
    data = json.dumps([workflow, request.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(data.encode(errors="surrogatepass")).hexdigest()


def _summary(request: RunRequest) -> str:
    """Return what the Web UI shows of a run: the first text of its own fields."""
    own = [name for name in type(request).model_fields if name not in RunRequest.model_fields]
    texts = [value for name in own if isinstance(value := getattr(request, name), str) and value.strip()]
    return " ".join(texts[0].split()) if texts else ""


async def keep(call: Call) -> Answer:
    """Keep a text or a file in the content store; returns what requests refer to it by."""
    data = await call.request.body()
    if not data:
        raise HttpError(422, "the body is empty; send the text or file itself")
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream"
    return 201, Content(ref=await call.reach.store().put(data), size=len(data), media_type=kind)


def request_of(kind: RunKind) -> type[Any]:
    """Return what a workflow is started with."""
    return kind.load_request()
