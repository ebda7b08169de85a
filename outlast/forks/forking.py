"""Forking a run: a new one takes over what an earlier one has finished and goes on from there, edited as you like.

handle = await fork(client, "plan-1", from_step="30", agent="analyst")
handle = await retry(client, "plan-2")
"""

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from outlast.client import load_settings
from outlast.contracts import NO_SUCH_FIELD, RunState
from outlast.forks import FORKED_MEMO
from outlast.forks.preparing import Prepared, Wanted, prepare
from outlast.forks.reading import ForkError, NoRunError, answer_of, described
from outlast.storage.activities import ContentStore

PATTERN = SearchAttributeKey.for_keyword("AgentPattern")
STATE = SearchAttributeKey.for_keyword("AgentState")
PROBLEMS_SHOWN = 5
"""Most wrong fields that a refusal names."""


async def fork(
    client: Client,
    run: str,
    *,
    from_step: str = "",
    from_turn: int | None = None,
    edit: Mapping[str, Any] | None = None,
    agent: str = "",
    model: str = "",
    text: str = "",
    new_id: str = "",
    repeat_effects: bool = False,
    requester: str = "",
    store: ContentStore | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start a run that takes over what another one has finished, and does a step and all that comes after it anew.

    Args:
        client: Connected with the data converter of `connect`.
        run: Workflow id of the earlier run; it may still run.
        from_step: The first step that is done again.
        from_turn: The first turn of a session that is taken again.
        edit: Changed fields of the request; of a plan `{"plan": {"steps": …}}`. Steps that this changes are done
            again, with all that comes after them.
        agent: Who does the step in place of its agent.
        model: On which model the step's agent does it.
        text: Another input of the step, in a plan; in a session, what is said at that turn.
        new_id: Workflow id of the new run; by default one made of the earlier run's.
        repeat_effects: Let steps run again although their tools changed something that still stands.
        requester: Who asks for it: by default they may not approve what it proposes.
        store: The content store; by default that of the settings.

    Returns:
        The handle of the new run. What the earlier run changed stays that run's: the fork neither undoes nor repeats it.

    Raises:
        ForkError: The run is not there, a part of it is gone, there is no such step, or an effect would be repeated.
    """
    wanted = Wanted(from_step, from_turn, edit or {}, agent, model, text, repeat_effects)
    prepared = await prepare(client, store or _store(), run, wanted)
    await check_edit(client, prepared, wanted.edit)
    return await start(client, prepared, new_id, requester)


async def retry(
    client: Client,
    run: str,
    *,
    new_id: str = "",
    budget: Mapping[str, Any] | None = None,
    repeat_effects: bool = False,
    requester: str = "",
    store: ContentStore | None = None,
) -> WorkflowHandle[Any, Any]:
    """Start a run that does what failed, or was never reached, in a run that has ended; the rest is taken over.

    The arguments that are not listed here are those of `fork`.

    Args:
        budget: Limits that differ from the earlier run's, such as `{"usd": 2.0}`; by default the same again, unspent.

    Returns:
        The handle of the new run.

    Raises:
        ForkError: As of `fork`; also for a run that still runs, or in which nothing failed.
        WorkflowAlreadyStartedError: The same retry of it is at work.

    Example:
        ```python
        handle = await retry(client, "launch", budget={"usd": 2.0})
        ```
    """
    wanted = Wanted(repeat_effects=repeat_effects, retries=True, budget=budget or {})
    return await start(client, await prepare(client, store or _store(), run, wanted), new_id, requester)


async def check_edit(client: Client, prepared: Prepared, edit: Mapping[str, Any]) -> None:
    """Refuse an edit that the workflow cannot take; raises ForkError. Only a worker has the class of the request.

    A run that began under a release which cannot tell takes any.
    """
    found = prepared.earlier.found
    try:
        problems: list[str] = await answer_of(client, found, "request_problems", prepared.request) if edit else []
    except WorkflowQueryFailedError:
        return
    if wrong := wrong_by(edit, problems):
        raise ForkError(f"--edit: {wrong}")


def wrong_by(edit: Mapping[str, Any], problems: Sequence[str]) -> str:
    """Return what is wrong with a request: unknown fields only where they were edited, the rest may be of another release."""
    edited = tuple(f"{name}{end}" for name in edit for end in (":", "."))
    wrong = [one for one in problems if NO_SUCH_FIELD not in one or one.startswith(edited)]
    return "; ".join(wrong[:PROBLEMS_SHOWN])


async def id_for(client: Client, prepared: Prepared) -> str:
    """Make an id for a fork; of a retry, that of the one that is at work, so that what failed is not done twice at once."""
    number = 1
    while True:
        name = prepared.new_id(number)
        try:
            found = await described(client, name)
        except NoRunError:
            return name
        if found.status is WorkflowExecutionStatus.RUNNING:
            return name
        number += 1


async def start(client: Client, prepared: Prepared, new_id: str = "", requester: str = "") -> WorkflowHandle[Any, Any]:
    """Start a fork; raises WorkflowAlreadyStartedError where a run of that id is or was there."""
    found, made = prepared.earlier.found, prepared.fork
    pattern = found.typed_search_attributes.get(PATTERN)
    marks = (
        []
        if pattern is None
        else [
            SearchAttributePair(PATTERN, pattern),
            SearchAttributePair(STATE, str(RunState.RUNNING)),
        ]
    )
    priority = found.raw_description.workflow_execution_info.priority
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        found.workflow_type,
        {**prepared.request, "requester": requester},
        id=new_id or await id_for(client, prepared),
        task_queue=found.task_queue,
        memo={FORKED_MEMO: {"run": made.run, "run_id": made.run_id, "from": made.start}},
        search_attributes=TypedSearchAttributes(marks),
        static_summary=f"{'fork' if made.start else 'retry'} of {made.run}"[:200],
        priority=Priority(priority_key=priority.priority_key or None, fairness_key=priority.fairness_key or None),
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    return handle


def _store() -> ContentStore:
    settings = load_settings()
    return ContentStore.open(
        settings.store_url,
        settings.content_inline_bytes,
        state_dir=settings.state_dir.resolve(),
        waits=settings.store_wait,
        seal=settings.seal(),
    )
