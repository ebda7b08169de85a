"""Which of OpenTelemetry's own variables switch what on and off, read in one place.

Our settings name the endpoint alone; all else is read from the environment, as every OpenTelemetry SDK does, so that one set of
variables serves all the programs of a machine. The Temporal SDK's metrics do not go through OpenTelemetry's SDK, so
what that would read for them is read here.
"""

import os
from urllib.parse import urlsplit

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CAPTURING = ("true", "1", "span_only", "span_and_event")
GRPC_PORT = 4317


class TelemetryError(ValueError):
    """A variable of OpenTelemetry's is wrong; the message names it and what to write."""


def set_to(name: str) -> str:
    """Return a variable in small letters, "" where it is not set."""
    return os.environ.get(name, "").strip().casefold()


def traces_wanted(endpoint: str | None) -> bool:
    """Whether traces go anywhere."""
    return _wanted("TRACES", endpoint)


def metrics_wanted(endpoint: str | None) -> bool:
    """Whether metrics go anywhere by OTLP."""
    return _wanted("METRICS", endpoint)


def _wanted(signal: str, endpoint: str | None) -> bool:
    if set_to("OTEL_SDK_DISABLED") == "true" or set_to(f"OTEL_{signal}_EXPORTER") == "none":
        return False
    return bool(endpoint or os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"))


def content_captured() -> bool:
    """Whether what was asked and answered goes into spans; off unless asked for, because it is other people's text."""
    return set_to(CAPTURE) in CAPTURING


def address_of(signal: str, endpoint: str | None) -> str:
    """Return where `TRACES` or `METRICS` go over HTTP: the signal's own endpoint as it is, or the common one with its path."""
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return own or f"{(endpoint or '').rstrip('/')}/v1/{signal.lower()}"


def over_grpc(signal: str, endpoint: str | None) -> bool:
    """Whether a signal is to go over gRPC: as its protocol says, or else by the port that is gRPC's."""
    protocol = set_to(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or set_to("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol:
        return protocol == "grpc"
    where = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or endpoint or ""
    try:
        return urlsplit(where).port == GRPC_PORT
    except ValueError as error:
        raise TelemetryError(f"{ENDPOINT}={where}: {error}; write http://host:4318") from error
