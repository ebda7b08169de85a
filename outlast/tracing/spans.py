"""The step trace as spans: one for each step, and below it one for each model or tool call, with what the trace says of it.

Tokens stand on the spans of the model client as GenAI usage; here under names of ours, so that they are not counted twice. The
traps: on replay all of it is made again, and the provider drops what ends in a replayed task, so ids and times are those of
the workflow. And where no provider is set up, a span is a shell that costs nothing and does nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from temporalio import workflow

from outlast.contracts import CallTrace, StepRow, StepState
from outlast.workflow.failures import ENDINGS

with workflow.unsafe.imports_passed_through():
    from opentelemetry import context, trace
    from opentelemetry.trace import Span, Status, StatusCode

CAPTURED = "agent-content-captured"
"""Key in OpenTelemetry's context, set by the worker: whether spans may hold what was asked and answered."""

NAME_LENGTH = 80
_call: ContextVar[Span | None] = ContextVar("call", default=None)


class StepSpans:
    """The spans of one run's steps; those of calls stand below the step that they are made for."""

    def __init__(self) -> None:
        self._open: dict[str, Span] = {}

    def begin(self, row: StepRow) -> None:
        """Open the span of a step that begins; one that begins again goes on."""
        if row.step not in self._open:
            self._open[row.step] = _start(f"step {row.step}", row.started or workflow.now())

    def end(self, row: StepRow, state: str = "") -> None:
        """Close the span of a step; one that never began, because it was skipped, gets one without length."""
        self.begin(row)
        span = self._open.pop(row.step)
        _describe_step(span, row, state or row.state)
        span.end(_nanoseconds(row.ended or workflow.now()))

    def leave(self, rows: Mapping[str, StepRow], state: str) -> None:
        """Close the spans of those steps that are still open, because the run ends, goes on as new, or has a new plan."""
        for step in [step for step in self._open if step in rows]:
            self.end(rows[step], state)

    @contextmanager
    def within(self, step: str) -> Iterator[None]:
        """Hold what happens within the block below the span of a step that has begun."""
        above = self._open.get(step)
        if above is None:  # it began in an earlier part of the run
            yield
            return
        token = context.attach(trace.set_span_in_context(above))
        put_away = False
        try:
            yield
        except GeneratorExit:
            put_away = True
            raise
        finally:
            if not put_away:
                context.detach(token)

    @contextmanager
    def calling(self, step: str, operation: str, name: str) -> Iterator[None]:
        """Hold what happens within the block below a span of its own, which `annotate` describes."""
        above = self._open.get(step)
        parent = trace.set_span_in_context(above) if above is not None else None
        about = {"agent.step": step, "gen_ai.operation.name": operation}
        span = _start(f"{operation} {name}", workflow.now(), parent, about)
        token = context.attach(trace.set_span_in_context(span))
        call_token = _call.set(span)
        ended, put_away = False, False
        try:
            yield
            ended = True
        except GeneratorExit:
            # A run that leaves memory is closed outside of its loop and its context: there is nothing to end there.
            put_away = True
            raise
        except ENDINGS:
            ended = True  # after anything else the task is done again, and this span with it
            raise
        finally:
            if not put_away:
                _call.reset(call_token)
                context.detach(token)
                if ended:
                    span.end(_nanoseconds(workflow.now()))


def annotate(call: CallTrace) -> None:
    """Set the attributes of the running call's span from its record in the step trace."""
    span = _call.get()
    if span is None or not span.is_recording():
        return
    span.set_attributes(
        {
            "agent.success": call.success,
            "agent.attempt": call.attempt,
            "agent.ms": call.ms,
            "agent.input.length": len(call.input),
            "agent.output.length": len(call.output),
            "gen_ai.agent.name": call.agent,
            **({"gen_ai.tool.name": call.tool} if call.tool else _of_model(call)),
        }
    )
    if not call.success:
        span.set_status(Status(StatusCode.ERROR, call.error))
    if context.get_value(CAPTURED):
        span.set_attributes({"agent.input": call.input, "agent.output": call.output})


def _of_model(call: CallTrace) -> dict[str, str | int | float]:
    return {
        "gen_ai.request.model": call.model,
        "agent.request_id": call.request_id,
        "agent.tokens.input": call.spend.input_tokens,
        "agent.tokens.output": call.spend.output_tokens,
        "agent.tokens.cache_read": call.spend.cache_read_tokens,
        "agent.tokens.cache_write": call.spend.cache_write_tokens,
        "agent.cost.usd": call.spend.usd,
    }


def _describe_step(span: Span, row: StepRow, state: str) -> None:
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "agent.step": row.step,
            "agent.step.state": state,
            "gen_ai.agent.name": row.agent,
            "agent.input.length": len(row.input),
            "agent.output.length": len(row.output.summary or row.output.text or "") if row.output else 0,
        }
    )
    if state == StepState.FAILED:
        span.set_status(Status(StatusCode.ERROR, row.note))
    if context.get_value(CAPTURED):
        output = (row.output.summary or row.output.text or "")[:200] if row.output else ""
        span.set_attributes({"agent.input": row.input, "agent.output": output})


def _start(
    name: str, when: datetime, parent: "context.Context | None" = None, about: Mapping[str, str] | None = None
) -> Span:
    tracer = trace.get_tracer(__name__)
    return tracer.start_span(name[:NAME_LENGTH], context=parent, attributes=about, start_time=_nanoseconds(when))


def _nanoseconds(when: datetime) -> int:
    return round(when.timestamp() * 1_000_000) * 1000
