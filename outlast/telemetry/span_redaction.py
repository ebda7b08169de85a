"""Exports spans without the secrets of this process; imported only where traces are on.

What spans hold beside our own attributes are errors: the SDKs record each exception with its text and its stack.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from outlast.redaction import SECRETS

TEXTS = ("exception.message", "exception.stacktrace")
"""Attributes of events that quote what a run is about."""


class Redacting(SpanExporter):
    """Hands spans on to another exporter, secrets replaced in names, attributes, events and status.

    Where messages in history are `sealed`, the texts of errors are left out; their types stay.
    """

    def __init__(self, inner: SpanExporter, *, sealed: bool = False) -> None:
        self._inner = inner
        self._sealed = sealed

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch."""
        return self._inner.export([_redacted(span, sealed=self._sealed) for span in spans])

    def shutdown(self) -> None:
        """End the inner exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner exporter."""
        return self._inner.force_flush(timeout_millis)


def _redacted(span: ReadableSpan, *, sealed: bool) -> ReadableSpan:
    attributes = _clean(span.attributes)
    events = [
        (event, _without_texts(event.attributes) if sealed else _clean(event.attributes)) for event in span.events
    ]
    status = "" if sealed else SECRETS(span.status.description or "")
    unchanged = attributes is None and all(clean is None for _, clean in events)
    if unchanged and status == (span.status.description or "") and SECRETS(span.name) == span.name:
        return span
    return ReadableSpan(
        name=SECRETS(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes if attributes is None else attributes,
        events=[
            event if clean is None else Event(event.name, attributes=clean, timestamp=event.timestamp)
            for event, clean in events
        ],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, status or None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _clean(attributes: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return attributes without secrets, or None where they hold none."""
    held = dict(attributes or {})
    clean = {name: SECRETS.deeply(value) for name, value in held.items() if not isinstance(value, int | float)}
    changed = {name: value for name, value in clean.items() if value != held[name] and value != list(held[name])}
    return held | changed if changed else None


def _without_texts(attributes: Mapping[str, Any] | None) -> dict[str, Any] | None:
    held = dict(attributes or {})
    kept = {name: value for name, value in held.items() if name not in TEXTS}
    return _clean(kept) or (kept if len(kept) < len(held) else None)
