"""Metrics, those of the Temporal SDK and ours, through the SDK's core: to Prometheus or by OTLP; and the core's own log.

The core writes lines of its own to the console, one a second where no collector listens. So they go into Python's
log, where they look like all others, and the same warning appears once in ten minutes.
"""

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from opentelemetry.util.re import parse_env_headers

from outlast.telemetry.once import Once
from outlast.telemetry.switches import TelemetryError, address_of, metrics_wanted, over_grpc

if TYPE_CHECKING:
    from temporalio.runtime import OpenTelemetryConfig, PrometheusConfig, Runtime

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
INTERVAL_MILLISECONDS = 5000
"""OpenTelemetry's default is a minute; but what was counted since the last export is lost when the process leaves."""
CORE = "temporal.core"
BUCKETS: Mapping[str, tuple[float, ...]] = {
    "agent_call_usd": (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0),
    "agent_queue_wait": (0.01, 0.1, 1.0, 5.0, 30.0, 120.0, 600.0),
    "agent_gate_wait": (10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 604800.0),
}
"""The SDK's own are milliseconds up to some minutes, which say nothing of USD, or of people who decide tomorrow."""


def runtime(endpoint: str | None, prometheus: str | None) -> "Runtime":
    """Build the runtime of a worker; it exports metrics to Prometheus (`host:port`), else by OTLP, else not at all.

    Raises TelemetryError for an interval that is no number.
    """
    from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig

    logger = logging.getLogger(CORE)
    if not logger.filters:
        logger.addFilter(Once())
    forwarding = LogForwardingConfig(logger, append_target_to_name=False, prepend_target_on_message=False)
    logs = LoggingConfig(filter=LoggingConfig.default.filter, forwarding=forwarding)
    return Runtime(telemetry=TelemetryConfig(logging=logs, metrics=_exported(endpoint, prometheus)))


def _exported(endpoint: str | None, prometheus: str | None) -> "OpenTelemetryConfig | PrometheusConfig | None":
    from temporalio.runtime import OpenTelemetryConfig, PrometheusConfig

    if prometheus:
        return PrometheusConfig(bind_address=prometheus, histogram_bucket_overrides=BUCKETS)
    if not metrics_wanted(endpoint):
        return None
    grpc = over_grpc("METRICS", endpoint)
    own = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    headers = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    return OpenTelemetryConfig(
        url=str(own or endpoint) if grpc else address_of("METRICS", endpoint),
        http=not grpc,
        headers=parse_env_headers(headers),
        metric_periodicity=timedelta(milliseconds=_interval()),
        histogram_bucket_overrides=BUCKETS,
    )


def _interval() -> int:
    value = os.environ.get(INTERVAL, "").strip()
    if value and not (value.isdecimal() and int(value)):
        raise TelemetryError(f"{INTERVAL}={value}: write milliseconds, for instance {INTERVAL_MILLISECONDS}")
    return int(value or INTERVAL_MILLISECONDS)
