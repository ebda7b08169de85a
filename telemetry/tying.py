"""Ties spans that the SDK's plugin leaves apart; imported only where traces are on.

A signal comes from a trace of its own: its span and the run's are linked to each other. A run's own span is exported when the run
ends, perhaps in weeks: so a span without length says that it is running. The trap: all of this runs in the workflow's thread
and is made again on every replay, so ids must come out the same: nothing here may make a span that replay would not make.
"""

from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import Span
from temporalio import worker, workflow

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
