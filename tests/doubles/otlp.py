"""A small OTLP/HTTP collector: takes protobuf at /v1/traces, /v1/metrics and /v1/logs, and keeps spans as trees.

    with collector() as otlp:
        …                                   # OTEL_EXPORTER_OTLP_ENDPOINT=otlp.url
        print(otlp.tree(root))              # names, indented; children sorted, because branches run at the same time

A span comes when it has ended, its parent after it. So look at a tree only when its root is there, and ask
`waits_for` instead of sleeping.
"""

import gzip
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.real_process import wait_for

TIMES = 1_000_000_000


@dataclass(frozen=True)
class Received:
    """One span as it came; ids in hex, "" for no parent; times in Unix seconds."""

    name: str
    span_id: str
    parent: str
    trace_id: str
    start: float
    end: float
    attributes: dict[str, Any]
    links: tuple[str, ...]
    error: str
    service: str

    @property
    def run(self) -> str:
        """The workflow that it belongs to, where it says so."""
        return str(self.attributes.get("temporalWorkflowID", ""))


@dataclass
class Collector:
    """All that came so far."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def named(self, name: str, **attributes: Any) -> list[Received]:
        """The spans of this name, or whose name begins so where it ends in `*`, that have these attributes."""
        return [
            span
            for span in list(self.spans)
            if (span.name.startswith(name[:-1]) if name.endswith("*") else span.name == name)
            and all(span.attributes.get(key) == value for key, value in attributes.items())
        ]

    def children(self, span: Received) -> list[Received]:
        """The spans below this one, oldest first."""
        return sorted((each for each in list(self.spans) if each.parent == span.span_id), key=lambda each: each.start)

    def below(self, span: Received) -> list[Received]:
        """This span and all below it."""
        return [span, *(each for child in self.children(span) for each in self.below(child))]

    def tree(self, span: Received, shown: Callable[[Received], str] = lambda span: span.name) -> str:
        """Write a span and those below it, one a line, indented; equal branches once, with their number."""
        return "\n".join(self._lines(span, shown, 0))

    def _lines(self, span: Received, shown: Callable[[Received], str], depth: int) -> list[str]:
        branches = Counter("\n".join(self._lines(child, shown, depth + 1)) for child in self.children(span))
        lines = ["  " * depth + shown(span)]
        for branch, times in sorted(branches.items()):
            first, *rest = branch.split("\n")
            lines += [f"{first} ×{times}" if times > 1 else first, *rest]
        return lines

    def waits_for(self, condition: Callable[[], Any], what: str, *, timeout: float = 30.0) -> Any:
        """Wait until the condition gives something true and return that."""
        return wait_for(condition, what, timeout=timeout)

    def take(self, path: str, body: bytes) -> None:
        """Take one request of an exporter."""
        self.requests[path] += 1
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = str(_attributes(resource.resource.attributes).get("service.name", ""))
                for scope in resource.scope_spans:
                    self.spans += [_span(span, service) for span in scope.spans]
        elif path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scoped in measured.scope_metrics:
                    for metric in scoped.metrics:
                        self.metrics.setdefault(metric.name, []).append(metric)
        elif path == "/v1/logs":
            ExportLogsServiceRequest.FromString(body)


def _span(span: Any, service: str) -> Received:
    return Received(
        name=span.name,
        span_id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        trace_id=span.trace_id.hex(),
        start=span.start_time_unix_nano / TIMES,
        end=span.end_time_unix_nano / TIMES,
        attributes=_attributes(span.attributes),
        links=tuple(link.span_id.hex() for link in span.links),
        error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
        service=service,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    return getattr(value, kind) if kind else None


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port of the loopback until the block ends."""
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kept.take(self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
