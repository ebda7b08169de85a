"""What processes report to an observability stack: traces, metrics and logs. Off where nothing is configured.

Open `switches.py` first: which variables turn what on; `docs/telemetry.md` lists every variable, span, metric and log field.
Others use the functions of `traces.py`, `metrics.py` and `logs.py`.
Each imports OpenTelemetry only where it is turned on, because every start would pay for it.
"""
