"""What a run counts and logs: its steps, fallbacks, gates and end. The SDK leaves out what is replayed.

Each value of a label is a time series that never ends, so runs, tasks and steps are no labels. And a gauge set
here would hold the value of the last run that set it; what waits now is read from the server
(`outlast/telemetry/gates.py`).
"""

from temporalio import workflow

from outlast.contracts import GateRecord, GateState, RecordKind

OUTCOMES = (
    RecordKind.APPROVED,
    RecordKind.DENIED,
    RecordKind.TIMED_OUT,
    RecordKind.HALTED,
    RecordKind.CANCELLED,
)


def count(name: str, **labels: str) -> None:
    """Count one."""
    workflow.metric_meter().create_counter(name).add(1, labels)


def count_gate(pattern: str, record: GateRecord, gate: GateState | None) -> None:
    """Count a gate that opens, and one that is settled with the seconds that it was open."""
    if gate is None:
        return
    if record.kind is RecordKind.OPENED:
        count("agent_gates_opened", pattern=pattern)
        workflow.logger.info("%s waits for people", gate.name)
    elif record.kind in OUTCOMES:
        labels = {"pattern": pattern, "outcome": record.kind.value}
        count("agent_gates_settled", **labels)
        workflow.logger.info("%s is %s", gate.name, record.kind)
        meter = workflow.metric_meter().with_additional_attributes(labels)
        waited = meter.create_histogram_float("agent_gate_wait", "How long a gate was open", "s")
        waited.record((record.when - gate.opened).total_seconds())
