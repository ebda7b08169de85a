"""Runs an activity and takes what comes back for what it is: a person can complete an activity by hand, with anything.

Left to the SDK, a result that does not decode fails the workflow task again and again, and the run stands still for good.
Here it is read as far as it can be (a text for a model's answer), and is a failure of this one call otherwise.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar, cast, get_type_hints

from temporalio import activity, workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from outlast.contracts import (
    SUMMARY_LENGTH,
    Content,
    ModelRequest,
    ModelTurn,
    StoreWait,
    ToolRequest,
    ToolResult,
    UndoResult,
)
from outlast.errors import AWAIT_STORE, ErrorKind, non_retryable, root_of, text_of
from outlast.workflow import journal, policies

Result = TypeVar("Result")

HEARTBEAT = 30.0
"""Seconds after which a worker that waits for the store and says nothing is taken for lost."""
MOST_AT_ONCE = 1000
"""Activities of one run at the same time. A server takes 2,000 and refuses the whole task that asks for more, again and again."""


@dataclass(frozen=True)
class Unusable:
    """A result that is none of its activity, and why."""

    why: str


async def run_activity(method: Callable[[Any, Any], Awaitable[Result]], request: Any, **config: Any) -> Result:
    """Run an activity by its method; raises ActivityError, of type ResultInvalid where its result cannot be used.

    In a run that has continued as new, one that has ended gives what it gave then.
    """
    run = partial(run_activity_anew, method, request, **config)
    if journal.here() is None:
        return await run()
    name, kind = _defined(method)
    return await journal.once(f"{name} {journal.digest(request)}", kind, run)


async def run_activity_anew(method: Callable[[Any, Any], Awaitable[Result]], request: Any, **config: Any) -> Result:
    """Run an activity whatever an earlier part of the run knows of it; raises as `run_activity`."""
    name, kind = _defined(method)
    with journal.at_work():
        async with _running():
            try:
                raw = await workflow.execute_activity(name, request, result_type=RawValue, **config)
            except ActivityError as error:
                if not is_cancelled_exception(error):
                    note_length()
                raise
            note_length()
    made = read_result(raw, kind, request)
    if isinstance(made, Unusable):
        raise _error(name, made.why)
    return cast(Result, made)


async def run_local(method: Callable[[Any, Any], Awaitable[Result]], request: Any, **config: Any) -> Result:
    """Run a local activity by its method; as `run_activity`, but nobody can complete one by hand."""
    run = partial(run_local_anew, method, request, **config)
    if journal.here() is None:
        return await run()
    name, kind = _defined(method)
    return await journal.once(f"{name} {journal.digest(request)}", kind, run)


async def run_local_anew(method: Callable[[Any, Any], Awaitable[Result]], request: Any, **config: Any) -> Result:
    """Run a local activity whatever an earlier part of the run knows of it."""
    wait: StoreWait | None = None
    with journal.at_work():
        while True:
            if wait is not None:
                await workflow.execute_activity(AWAIT_STORE, wait, **policies.await_store(HEARTBEAT))
            try:
                return await execute_local(method, request, **config)
            except (ActivityError, ApplicationError) as error:
                if (reason := _store_is_away(error)) is None:
                    raise
                since, turn = (wait.since, wait.turn + 1) if wait is not None else (workflow.now(), 1)
                wait = StoreWait(since=since, reason=reason, turn=turn)


async def execute_local(method: Callable[[Any, Any], Awaitable[Result]], request: Any, **config: Any) -> Result:
    """Execute a local activity, which is counted meanwhile: see `local_at_work`."""
    run = vars(workflow.instance())
    run["_local_at_work"] = run.get("_local_at_work", 0) + 1
    try:
        return cast(Result, await workflow.execute_local_activity_method(cast(Any, method), request, **config))
    finally:
        run["_local_at_work"] -= 1


def is_recent() -> bool:
    """Whether the run began with release 0.3 or later.

    Earlier ones replay as they were recorded. Each run asks `workflow.patched` once, as it begins: right after a local activity
    its answer in a replay may be another one.
    """
    return bool(vars(workflow.instance()).get("is_recent"))


def is_long() -> bool:
    """Whether the server suggested that the run continues as new, when an activity or a child workflow ended, or a message came.

    What the SDK says now is not the same in a replay where a local activity ended last: that may be in an earlier task there.
    """
    return bool(vars(workflow.instance()).get("_long_history"))


def note_length() -> None:
    """Note whether the server suggests to continue as new; called when something has come that history holds as an event.

    Where a query came between two workflow tasks, the SDK may deliver an event before the task that suggests it, and in a replay
    with that task. So it is recorded where a run of 0.3 begins to take itself for long: a replay, which may hear of it earlier,
    asks at that call alone.
    """
    run = vars(workflow.instance())
    run["_lengths_noted"] = call = run.get("_lengths_noted", 0) + 1
    if not run.get("_long_history") and workflow.info().is_continue_as_new_suggested():
        run["_long_history"] = not is_recent() or workflow.patched(f"long-{call}")


def local_at_work() -> bool:
    """Whether a local activity of this run is at work.

    A message that comes while a workflow task with one is prolonged (a worker that was stopped for seconds) is handled before the
    result of that activity now, and after it when the history is replayed. So what a message changes may wait for it.
    """
    return bool(vars(workflow.instance()).get("_local_at_work"))


def _store_is_away(error: BaseException) -> str | None:
    """Return what the store answered to a local activity that is to be repeated once it is back; None for any other failure."""
    cause = root_of(error)
    awaited = isinstance(cause, ApplicationError) and tuple(cause.details[:1]) == (AWAIT_STORE,)
    return text_of(error) if awaited else None


def _running() -> asyncio.Semaphore:
    """Return what counts the activities of this run; where there is room, entering it takes no turn of the event loop."""
    run = vars(workflow.instance())
    return cast(asyncio.Semaphore, run.setdefault("_activities_running", asyncio.Semaphore(MOST_AT_ONCE)))


def read_result(raw: RawValue | None, kind: type[Any], request: Any) -> Any:
    """Read a result of that kind, or say why it is none (Unusable)."""
    if kind is type(None):
        return None  # nobody looks at it
    try:
        value = workflow.payload_converter().from_payload(raw.payload, kind) if raw is not None else None
    except (ValueError, KeyError, RuntimeError):
        value = None  # whatever a person has written there
    wanted = request.output_schema if isinstance(request, ModelRequest) else None
    if isinstance(value, kind) and not (wanted and isinstance(value, ModelTurn) and _lacks_data(value)):
        return value
    data = _payload(raw)
    if wanted:
        return Unusable(f"it holds no 'data' in the schema that was asked for, but {_shown(data)}")
    made = None if data is None else _by_hand(kind, data, request)
    return Unusable(f"it is not a {kind.__name__}, but {_shown(data)}") if made is None else made


def _lacks_data(turn: ModelTurn) -> bool:
    return turn.whole and turn.data is None and not turn.schema_errors


def _by_hand(kind: type[Any], data: Any, request: Any) -> Any:
    """Make a result of what a person has written; None where it cannot be one."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    content = Content(text=text, size=len(text.encode()), summary=_shown(f"given by hand: {text}"))
    if kind is ModelTurn:
        return ModelTurn(content=content)
    if kind is ToolResult and isinstance(request, ToolRequest):
        # What the call changed is found by its key, if an attempt of it got that far.
        return ToolResult(content=content, undo={"key": request.key})
    if kind is UndoResult:
        return UndoResult(said=_shown(text))
    return None


def _payload(raw: RawValue | None) -> Any:
    """Return a result as plain JSON, or as the text that it is; None for nothing."""
    if raw is None or not raw.payload.data:
        return None
    try:
        return json.loads(raw.payload.data)
    except ValueError:
        return raw.payload.data.decode(errors="replace")


def _shown(data: Any) -> str:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str)
    return " ".join(text.split())[:SUMMARY_LENGTH]


def _error(name: str, why: str) -> ActivityError:
    error = ActivityError(
        "Activity completed with what it cannot have given",
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=name,
        activity_id="",
        retry_state=None,
    )
    error.__cause__ = non_retryable(
        ErrorKind.RESULT_INVALID, f"the result cannot be used, because {why}; was it completed by hand?"
    )
    return error


@lru_cache
def _defined(method: Callable[..., Any]) -> tuple[str, type[Any]]:
    """Return the name and the result type that an activity is defined with."""
    name = activity._Definition.must_from_callable(method).name
    if name is None:
        raise TypeError("a dynamic activity has no name to call it by")
    return name, get_type_hints(method)["return"]
