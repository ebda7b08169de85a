"""One model call from workflow code, recorded with what it cost.

A failed or cancelled call was paid as well, so its cost comes with its error.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from outlast.approvals.pausing import unpaused
from outlast.budget.limits import Reservation
from outlast.contracts import AgentCard, ModelFailure, ModelRequest, ModelTurn, Usage
from outlast.errors import ErrorKind, kind_of, non_retryable, root_of, text_of
from outlast.llm.activities import AgentActivities
from outlast.tracing.live_text import published
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity
from outlast.workflow.context import RunContext

LENIENTLY = "answer read leniently"
"""How a note begins, behind the agent's name, where an answer was read otherwise than written."""


async def call_model(
    run: RunContext, step: str, card: AgentCard, request: ModelRequest, *, wait_for_cost: bool = False
) -> ModelTurn:
    """Make one model call within the run's budget and record it in the run's log; raises ActivityError.

    With `wait_for_cost`, cancelling waits until the call has reported its cost, however it ends then. Raises
    BudgetReached where the budget does not allow it. A call that an earlier part of the run has made is not made again.
    """

    async def call() -> ModelTurn:
        return await _within_budget(run, step, card, request, wait_for_cost=wait_for_cost)

    return await journal.once(f"call {step}", ModelTurn, call)


async def _within_budget(
    run: RunContext, step: str, card: AgentCard, request: ModelRequest, *, wait_for_cost: bool
) -> ModelTurn:
    request = request.model_copy(update={"attempts": card.attempts, "has_fallback": bool(card.fallbacks), "step": step})
    needed, paid = 0, 0
    while True:
        held = await run.budget.reserve(card, request, needed)
        if held is None:
            return await _call(run, step, card, request, wait_for_cost=wait_for_cost)
        try:
            turn = await _call(
                run,
                step,
                card,
                request.model_copy(update={"reserved": held.prompt, "broke": paid}),
                wait_for_cost=True,
                held=held,
            )
        except ActivityError as error:
            failure = _failure(error)
            paid += failure.usage.tokens > 0
            if kind_of(error) is not ErrorKind.RESERVATION_SHORT:
                raise
            if paid >= card.attempts:
                raise non_retryable(
                    ErrorKind.MODEL_UNAVAILABLE, f"{paid} attempts broke off after they were paid"
                ) from error
            needed = failure.needed
        else:
            run.budget.learn(card, turn)
            return turn
        finally:
            run.budget.release(held)


async def _call(
    run: RunContext,
    step: str,
    card: AgentCard,
    request: ModelRequest,
    *,
    wait_for_cost: bool,
    held: Reservation | None = None,
) -> ModelTurn:
    await unpaused(run.state)
    with run.trace.spans.calling(step, "invoke_agent", card.name), published(run.state.streaming, request) as asked:
        return await _recorded(run, step, card, asked, wait_for_cost=wait_for_cost, held=held)


async def _recorded(
    run: RunContext,
    step: str,
    card: AgentCard,
    request: ModelRequest,
    *,
    wait_for_cost: bool,
    held: Reservation | None,
) -> ModelTurn:
    started = workflow.now()
    first = workflow.info().original_execution_run_id
    request = request.model_copy(update={"number": run.state.next_call(step), "run": first})
    try:
        turn = await run_activity(
            AgentActivities.call_model,
            request,
            **policies.call_model(card, run.state.heartbeat, f"{step} · {card.name}", wait_for_cost=wait_for_cost),
        )
    except ActivityError as error:
        failure = _failure(error)
        if held is not None and isinstance(root_of(error), TemporalTimeoutError):
            # Nobody knows what it cost, so it counts as the worst that it can have cost.
            used = Usage(input_tokens=held.worst.input_tokens, output_tokens=held.worst.output_tokens)
            failure = ModelFailure(usage=used, usd=held.worst.usd)
        if kind_of(error) is not ErrorKind.RESERVATION_SHORT or failure.usage.tokens:
            cost = run.trace.call_failed(step, request, failure, text_of(error), workflow.now() - started)
            run.state.charge(cost)
        if kind_of(error) is ErrorKind.CANCELLED or (wait_for_cost and _is_cancelled()):
            raise asyncio.CancelledError from error
        raise
    run.state.charge(run.trace.call_done(step, request, turn, workflow.now() - started))
    if wait_for_cost and _is_cancelled():
        # It answered before it heard; without this, a repair or a tool would come next.
        raise asyncio.CancelledError
    return turn


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _failure(error: ActivityError) -> ModelFailure:
    root = root_of(error)
    if isinstance(root, ApplicationError) and root.details:
        try:
            return ModelFailure.model_validate(root.details[0])
        except ValueError:
            return ModelFailure()
    return ModelFailure()
