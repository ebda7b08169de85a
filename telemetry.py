"""What both doors tell an observability stack: traces, metrics and logs. Off where nothing is configured, never in the way.

Traces go by OTLP where OTEL_EXPORTER_OTLP_ENDPOINT is set; every other OTEL_* variable means what OpenTelemetry says. The
traps: the simple span processor exports from within the workflow sandbox, which forbids that, so spans go in batches; and what
was not flushed when the process leaves is lost, because it leaves through `os._exit`.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_SDK_DISABLED
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

if TYPE_CHECKING:
    from temporalio.client import Plugin
    from temporalio.runtime import Runtime

FLUSH_MILLISECONDS = 5000
NOISE = ("HandleQuery:", "QueryWorkflow:", "ValidateUpdate:")
"""Spans that say nothing of the work: every open page of the Web UI asks each run who it is, again and again."""
ENDPOINT, METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
MESSAGE_SHOWN = 2000
IDS = ("workflow_id", "run_id", "workflow_type", "activity_type", "attempt")


def switched_off() -> bool:
    """Whether OTEL_SDK_DISABLED switches all of it off."""
    return os.environ.get(OTEL_SDK_DISABLED, "").strip().casefold() == "true"


def tracing(endpoint: str | None) -> "list[Plugin]":
    """Set up traces and return the plugin for the client; nothing without an endpoint."""
    if not endpoint or switched_off():
        return []
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin, create_tracer_provider

    if not hasattr(trace.get_tracer_provider(), "add_span_processor"):
        # A provider cannot be replaced once it is set: a process that connects twice keeps its first.
        provider = create_tracer_provider(sampler=Quiet(sampling.ParentBased(sampling.ALWAYS_ON)))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return [OpenTelemetryPlugin(add_temporal_spans=True)]


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


def runtime(endpoint: str | None, prometheus: str | None) -> "Runtime | None":
    """Build the runtime that exports metrics, those of the SDK and ours: to Prometheus (`host:port`) or by OTLP.

    None where neither is asked for. The SDK's core speaks OTLP over gRPC, and over HTTP where the endpoint's port is 4318 or
    its path ends in `/v1/metrics`.
    """
    from temporalio.runtime import OpenTelemetryConfig, PrometheusConfig, Runtime, TelemetryConfig

    url = os.environ.get(METRICS_ENDPOINT) or endpoint
    if prometheus:
        return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=prometheus)))
    if not url or switched_off():
        return None
    over_http = url.rstrip("/").endswith(("/v1/metrics", ":4318"))
    if over_http and not url.rstrip("/").endswith("/v1/metrics"):
        url = f"{url.rstrip('/')}/v1/metrics"
    return Runtime(telemetry=TelemetryConfig(metrics=OpenTelemetryConfig(url=url, http=over_http)))


def flush() -> None:
    """Export what is still waiting; returns after five seconds at the latest."""
    getattr(trace.get_tracer_provider(), "force_flush", lambda _: None)(FLUSH_MILLISECONDS)


def log_to_stderr(level: str, form: str) -> None:
    """Set up logs: `form` json or text, or "" for text on a terminal and JSON elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = form == "json" or (not form and not sys.stderr.isatty())
    handler.setFormatter(JsonLines() if as_json else Brief("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class Brief(logging.Formatter):
    """Writes an exception as one line; its stack only where everything is wanted (DEBUG)."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's own name
        """Write the exception."""
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            return super().formatException(ei)
        return f"  {ei[0].__name__}: {' '.join(str(ei[1]).split())[:MESSAGE_SHOWN]}"


class JsonLines(Brief):
    """Writes one JSON object a line, with the ids of workflow, activity and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": " ".join(record.getMessage().split())[:MESSAGE_SHOWN],
        }
        line |= _ids(record)
        if record.exc_info and record.exc_info[0] is not None:
            line["error_type"] = record.exc_info[0].__name__
            line["error"] = self.formatException(record.exc_info).strip()
        return json.dumps(line, ensure_ascii=False, default=str)


def _ids(record: logging.LogRecord) -> dict[str, Any]:
    """Take what the SDK attaches to a record, and the span that is current."""
    found: dict[str, Any] = {}
    for name in ("temporal_workflow", "temporal_activity"):
        told = getattr(record, name, None)
        if isinstance(told, Mapping):
            found |= {
                key: told[key]
                for key in ("workflow_id", "run_id", "workflow_type", "activity_type", "attempt")
                if key in told
            }
            if "workflow_run_id" in told:
                found["run_id"] = told["workflow_run_id"]
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        found |= {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return found
