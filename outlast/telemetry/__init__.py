"""What both doors tell an observability stack: traces, metrics and logs. Off where nothing is configured, never in the way.

`docs/telemetry.md` lists every variable, span, metric and log field. Both doors look in here, so nothing is imported
before it is wanted; OpenTelemetry's SDK and its exporter only where traces are on.
"""
