"""Traces by OTLP over HTTP: the SDK's plugin, a provider that is safe under replay, and our ties between spans.

Spans go in batches: the simple span processor would export from within the workflow sandbox, which forbids that. The processor
is flushed before the process leaves, because it leaves through `os._exit`.
"""

import logging
import os
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry import trace

from outlast.extras import MissingExtraError, require
from outlast.telemetry.once import Once
from outlast.telemetry.switches import ENDPOINT, TelemetryError, address_of, content_captured, over_grpc

if TYPE_CHECKING:
    from temporalio.client import Plugin

FLUSH_SECONDS = 2.0
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
SERVICE = "outlast"
ANTHROPIC_CONTENT = "ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"


def tracing(endpoint: str | None, *, sealed: bool = False) -> "list[Plugin]":
    """Set up traces, where they are wanted, and return the plugins for the client.

    Where messages in history are `sealed`, spans name errors by their type alone. Raises TelemetryError where they are to go
    over gRPC, which this exporter does not speak, or the extra is missing.
    """
    if over_grpc("TRACES", endpoint):
        raise TelemetryError(
            f"{ENDPOINT}={endpoint}: traces go over HTTP; write the collector's HTTP port, usually 4318"
        )
    try:
        require("otel", f"{ENDPOINT}={endpoint}")
    except MissingExtraError as error:
        raise TelemetryError(f"{error}; OTEL_TRACES_EXPORTER=none switches traces off") from error
    from temporalio.contrib.opentelemetry import OpenTelemetryPlugin
    from temporalio.plugin import SimplePlugin

    from outlast.telemetry.tying import TyingInterceptor

    content = content_captured()
    if content:
        # The client of Claude makes spans of its own, and has a switch of its own.
        os.environ.setdefault(ANTHROPIC_CONTENT, "content")
    if not hasattr(trace.get_tracer_provider(), "add_span_processor"):
        # A provider cannot be replaced once it is set: a process that connects twice keeps its first.
        trace.set_tracer_provider(_provider(endpoint, sealed=sealed))
    ties = SimplePlugin("Ties", interceptors=[TyingInterceptor(content=content)])
    return [OpenTelemetryPlugin(add_temporal_spans=True), ties]


def _provider(endpoint: str | None, *, sealed: bool) -> trace.TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import create_tracer_provider

    from outlast.telemetry.lasting import Lasting
    from outlast.telemetry.quiet import Quiet
    from outlast.telemetry.span_redaction import Redacting

    # A plain provider reads OTEL_TRACES_SAMPLER; there is no public way to ask for that sampler alone.
    sampler = Quiet(TracerProvider(shutdown_on_exit=False).sampler)
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
    provider = create_tracer_provider(sampler=sampler, resource=Lasting(resource.attributes, resource.schema_url))
    # Everyone asks anew for each span, and the SDK builds and compares a scope, and a warning, every time.
    provider.get_tracer = cache(provider.get_tracer)  # type: ignore[method-assign]
    address = address_of("TRACES", endpoint)
    provider.add_span_processor(BatchSpanProcessor(Redacting(OTLPSpanExporter(endpoint=address), sealed=sealed)))
    logging.getLogger(EXPORTER).addFilter(Unreachable(address))
    return provider


class Unreachable(logging.Filter):
    """Puts one line every ten minutes in the place of the exporter's complaints, and remembers that it complains."""

    failing = threading.Event()

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self._once = Once()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide on one complaint."""
        self.failing.set()
        record.msg, record.args = f"traces are lost, because the collector does not take them; {self._address}", ()
        return self._once.filter(record)


def flush() -> None:
    """Export what is still waiting; returns after two seconds at the latest, and at once where no collector listens.

    The provider's own time-out is not kept: its exporter tries again for ten seconds.
    """
    provider = trace.get_tracer_provider()
    if not hasattr(provider, "force_flush"):
        return
    Unreachable.failing.clear()
    flushing = threading.Thread(target=provider.force_flush, daemon=True)
    flushing.start()
    deadline = time.monotonic() + FLUSH_SECONDS
    while flushing.is_alive() and not Unreachable.failing.is_set() and time.monotonic() < deadline:
        flushing.join(0.02)
