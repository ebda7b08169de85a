"""Spans and counters of calls, for an observability stack; they cost nothing where none is set up.

Names follow the GenAI semantic conventions of OpenTelemetry. The Anthropic SDK's own span counts the tokens of a call, so the
activity's span does not: a trace in which both did would show twice the cost. For the same reason the operation (invoke_agent,
execute_tool) is on the workflow's span alone, of which every attempt is a part.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from temporalio import activity, worker
from temporalio.exceptions import ApplicationError

from outlast.contracts import ModelFailure, ModelRequest, ModelTurn, ToolRequest, ToolResult, Usage


def model_called(request: ModelRequest, turn: ModelTurn) -> None:
    """Report a call that was answered."""
    model = turn.model or request.model
    _span(
        {
            "gen_ai.agent.name": request.agent,
            "gen_ai.request.model": request.model,
            "gen_ai.response.finish_reasons": (str(turn.stop_reason),),
            "agent.attempt": turn.attempt,
            "agent.cost.usd": turn.usd,
        }
    )
    _count(
        "agent_calls", 1, agent=request.agent, model=model, outcome="sent_back" if turn.schema_errors else "answered"
    )
    _count_cost(request.agent, model, turn.usage, turn.usd)


def model_failed(request: ModelRequest, error: ApplicationError) -> None:
    """Report a call that failed."""
    cause = error.type or type(error).__name__
    _span(
        {
            "gen_ai.agent.name": request.agent,
            "gen_ai.request.model": request.model,
            "error.type": cause,
            "agent.attempt": activity.info().attempt,
        }
    )
    _count("agent_calls", 1, agent=request.agent, model=request.model, outcome="failed")
    details = error.details[0] if error.details else None
    if isinstance(details, ModelFailure):
        _count_cost(request.agent, details.model or request.model, details.usage, details.usd)


def tool_called(request: ToolRequest, result: ToolResult) -> None:
    """Report a tool call; an error of the tool's own is a result."""
    _span({"gen_ai.tool.name": request.tool, "agent.attempt": result.attempt})
    _count("agent_tool_calls", 1, tool=request.tool, outcome="error" if result.failed else "done")


class Attempts(worker.Interceptor):
    """Counts attempts of activities: how long each waited for a worker, and whether and why it will be retried.

    The SDK's own metric of that wait leaves out activities that start at once, which is most of them.
    """

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Stand around each activity of the worker."""
        return _Attempt(next)


class _Attempt(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        if not info.is_local:
            meter = activity.metric_meter().with_additional_attributes({"activity": info.activity_type})
            meter.create_histogram_float("agent_queue_wait", "Time from scheduling to start", "s").record(_waited(info))
        try:
            return await super().execute_activity(input)
        except ApplicationError as error:
            most = info.retry_policy.maximum_attempts if info.retry_policy else 1
            if not error.non_retryable and (most == 0 or info.attempt < most):
                _count("agent_retries", 1, activity=info.activity_type, cause=error.type or type(error).__name__)
            raise


def _count_cost(agent: str, model: str, usage: Usage, usd: float) -> None:
    for tier, tokens in usage.model_dump().items():
        _count("agent_tokens", tokens, agent=agent, model=model, tier=tier.removesuffix("_tokens"))
    if usd:
        meter = activity.metric_meter().with_additional_attributes({"agent": agent, "model": model})
        meter.create_histogram_float("agent_call_usd", "What each model call cost", "USD").record(usd)


def _count(name: str, number: int, **attributes: str) -> None:
    if number:
        activity.metric_meter().create_counter(name).add(number, attributes)


def _span(attributes: Mapping[str, str | int | float | tuple[str, ...]]) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes({**attributes, "agent.queue.ms": round(_waited(activity.info()) * 1000)})


def _waited(info: activity.Info) -> float:
    """Return the seconds from the scheduling of this attempt to its start; clocks of two machines may differ."""
    return max(0.0, (info.started_time - info.current_attempt_scheduled_time).total_seconds())
