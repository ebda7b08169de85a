"""Leaves spans out that say nothing of the work; imported only where traces are on."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

NOISE = ("HandleQuery:", "QueryWorkflow:", "ValidateUpdate:")
"""Every open page of the Web UI asks each run who it is, again and again."""


class Quiet(sampling.Sampler):
    """Drops the noise, and leaves the rest to another sampler."""

    def __init__(self, inner: sampling.Sampler) -> None:
        self._inner = inner

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sampling.SamplingResult:
        """Decide on one span."""
        if name.startswith(NOISE):
            return sampling.SamplingResult(sampling.Decision.DROP)
        return self._inner.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Name this sampler."""
        return f"quiet,{self._inner.get_description()}"
