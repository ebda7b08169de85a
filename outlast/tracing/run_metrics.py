"""What a run counts and logs: its steps, fallbacks, gates and end. The SDK leaves out what is replayed.

It takes a workflow task that is done again for new, though: one that failed, or whose end the server did not take because a
message came in meanwhile. So what this process has counted for a run it does not count again.

Each value of a label is a time series that never ends, so runs, tasks and steps are no labels. And a gauge set
here would hold the value of the last run that set it; what waits now is read from the server
(`outlast/telemetry/gates.py`).
"""

from collections import Counter, OrderedDict

from temporalio import workflow

from outlast.contracts import GateRecord, GateState, RecordKind

OUTCOMES = (
    RecordKind.APPROVED,
    RecordKind.DENIED,
    RecordKind.TIMED_OUT,
    RecordKind.HALTED,
    RecordKind.CANCELLED,
)
RUNS = 1000
"""Runs of which a process keeps in mind what it has counted; those that counted last. A task is done again within seconds."""

Told = tuple[str, ...]
_counted: "OrderedDict[str, Counter[Told]]" = OrderedDict()
"""Runs compute in several threads, each run in one at a time: nothing here takes two steps on what they share."""


def count(name: str, **labels: str) -> None:
    """Count one."""
    if _is_new(name, labels):
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
        if _is_new("agent_gate_wait", labels):
            meter = workflow.metric_meter().with_additional_attributes(labels)
            waited = meter.create_histogram_float("agent_gate_wait", "How long a gate was open", "s")
            waited.record((record.when - gate.opened).total_seconds())


def _is_new(name: str, labels: dict[str, str]) -> bool:
    """Whether this process has not counted this for the run: the first, second … time that the run comes to count it."""
    key = (name, *labels.values())
    here: Counter[Told] = vars(workflow.instance()).setdefault("_counts", Counter())
    here[key] += 1
    if workflow.unsafe.is_replaying():
        return False
    run = workflow.info().run_id
    before = _counted[run] = _counted.pop(run, Counter())
    if len(_counted) > RUNS:
        _counted.popitem(last=False)
    new = before[key] < here[key]
    before[key] = max(before[key], here[key])
    return new
