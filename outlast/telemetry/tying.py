"""Ties spans that the SDK's plugin leaves apart; imported only where traces are on.

A signal comes from a trace of its own: its span and the run's are linked to each other. A run's own span is exported when the run
ends, perhaps in weeks: so a span without length says that it is running. And an activity hangs from what asked for it: the
plugin's span of its scheduling has no length and says nothing else, and spans are what telemetry costs. All of this
runs in the workflow's thread and is made again on every replay, so ids must come out the same: nothing here may make a span
that replay would not make.
"""

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry import context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio import worker, workflow
from temporalio.api.common.v1 import Payload

HEADER = "_tracer-data"
"""Where the plugin's worker side reads the span that an activity belongs to."""
PROPAGATOR = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])

CAPTURED = "agent-content-captured"
"""Key in OpenTelemetry's context: whether spans may hold what was asked and answered. Workflow code cannot read variables."""


class TyingInterceptor(worker.Interceptor):
    """Gives each run of a worker its ties."""

    def __init__(self, *, content: bool) -> None:
        self._content = content

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        """Return the class of which each run gets one."""
        return _TyingWithContent if self._content else _Tying


class _Tying(worker.WorkflowInboundInterceptor):
    content = False

    def __init__(self, next: worker.WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        self._run: Span | None = None
        self._early: list[Span] = []

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_Unscheduled(outbound))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        self._run = trace.get_current_span()
        for span in self._early:
            self._tie(span)
        info = workflow.info()
        trace.get_tracer(__name__).start_span(
            f"Running:{info.workflow_type}",
            attributes={"temporalWorkflowID": info.workflow_id, "temporalRunID": info.run_id},
        ).end()
        # Never detached: the context ends with the task of the run, and an evicted one ends in another thread.
        context.attach(context.set_value(CAPTURED, self.content))
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        self._tie(trace.get_current_span())
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        self._tie(trace.get_current_span())
        return await super().handle_update_handler(input)

    def _tie(self, message: Span) -> None:
        if self._run is None:
            self._early.append(message)
            return
        self._run.add_link(message.get_span_context())
        message.add_link(self._run.get_span_context())


class _TyingWithContent(_Tying):
    content = True


class _Unscheduled(worker.WorkflowOutboundInterceptor):
    """Starts activities around the plugin, which stands next to it."""

    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_span(input.headers)
        return self.next.next.start_activity(input)

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_span(input.headers)
        return self.next.next.start_local_activity(input)


def _with_span(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier)
    if not carrier:
        return headers
    return {**headers, HEADER: Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(carrier).encode())}
