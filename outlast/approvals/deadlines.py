"""A gate's deadline, its escalation and its reminders: when each is due, and what it changes. Time is passed in."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from temporalio import workflow

from outlast.contracts import GateOutcome, GatePolicy, GateState, OnTimeout, ProposedAction, RecordKind

NEVER = 3_153_600_000.0
"""Seconds of a hundred years. What is due later is never due, and no clock could say when."""


class PeopleTime:
    """The seconds in which any person was waited for; a block that waits is entered. They are nobody's working time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._waiting = 0
        self._since = 0.0

    @property
    def so_far(self) -> float:
        """The seconds until now, where people are being waited for as well."""
        return self.seconds + (workflow.time() - self._since if self._waiting else 0.0)

    def __enter__(self) -> None:
        if not self._waiting:
            self._since = workflow.time()
        self._waiting += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._waiting -= 1
        if not self._waiting and workflow.in_workflow():  # not where a run that leaves memory is closed
            self.seconds += workflow.time() - self._since


@dataclass(frozen=True)
class Due:
    """What time has done to a gate: the record of it, and the fields of the gate that change."""

    kind: RecordKind
    reason: str = ""
    changes: dict[str, Any] = field(default_factory=dict)


def deadline_of(policy: GatePolicy, action: ProposedAction, now: datetime) -> datetime:
    """Return the deadline of a gate that opens, or is extended, now."""
    return now + timedelta(seconds=policy.seconds(action.risk))


def next_due(gate: GateState) -> datetime:
    """Return when something is due if nobody decides: the deadline, the escalation, or a reminder a second or more before it."""
    times = [gate.deadline]
    if (escalates := _escalates(gate)) is not None:
        times.append(escalates)
    if gate.policy.remind_every is not None:
        reminder = _later(gate.reminded or gate.opened, gate.policy.remind_every)
        if reminder is not None and reminder + timedelta(seconds=1) < gate.deadline:
            times.append(reminder)
    return min(times)


def _escalates(gate: GateState) -> datetime | None:
    """Return when the gate is escalated before its deadline, if it still will be."""
    after = gate.policy.escalate_after
    return None if after is None or gate.escalated else _later(gate.opened, after)


def _later(moment: datetime, seconds: float) -> datetime | None:
    """Return the moment so much later; None for a time so long that it never comes."""
    return moment + timedelta(seconds=seconds) if seconds < NEVER else None


def due(gate: GateState, now: datetime) -> Due | None:
    """Return the most important thing that is due at a gate by now; None where nothing is."""
    policy = gate.policy
    if not gate.pending or next_due(gate) > now:
        return None
    to = f"to {', '.join(policy.escalate_to)}"
    if gate.deadline <= now and policy.on_timeout is OnTimeout.ESCALATE and not gate.extended:
        later = deadline_of(policy, gate.action, now)
        return Due(RecordKind.ESCALATED, to, {"escalated": True, "extended": True, "deadline": later})
    if gate.deadline <= now:
        kind = RecordKind.HALTED if policy.on_timeout is OnTimeout.HALT else RecordKind.TIMED_OUT
        why = "nobody decided in time"
        return Due(kind, why, {"outcome": GateOutcome(kind.value), "settled": now, "by": (), "reason": why})
    if (escalates := _escalates(gate)) is not None and escalates <= now:
        return Due(RecordKind.ESCALATED, to, {"escalated": True})
    # Missed reminders are not made up for: after an outage one is enough.
    every, last = timedelta(seconds=policy.remind_every or 1), gate.reminded or gate.opened
    return Due(RecordKind.REMINDED, changes={"reminded": last + every * ((now - last) // every)})
