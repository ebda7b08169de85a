"""The decision log of one run as it is written: each record holds the hash of the one before."""

from datetime import datetime
from typing import Any

from outlast.contracts import (
    NOISE,
    NOISE_KEPT,
    SUMMARY_LENGTH,
    Decision,
    DecisionLog,
    GateRecord,
    ProposedAction,
    RecordKind,
)


class Records:
    """The records of one run, oldest first, and how many messages were too many to keep."""

    def __init__(self, log: DecisionLog) -> None:
        self.records = list(log.records)
        self._unkept = log.unkept
        self._noise = sum(record.kind in NOISE for record in self.records)

    @property
    def log(self) -> DecisionLog:
        """The decision log so far."""
        return self._newest(len(self.records))

    def no_earlier(self, at: datetime) -> datetime:
        """Return a time as it may be recorded now: a message waits for its turn while others are recorded."""
        return max(at, self.records[-1].when) if self.records else at

    def allowed(self, action: ProposedAction, by: str, now: datetime) -> None:
        """Record that calls of a tool need no person, because the request of the run allows them."""
        reason = f"the request allows every call of {action.tool} without asking; this is the first"
        self._record(now, RecordKind.ALLOWED, by=by, channel="request", digest=action.digest, reason=reason)

    def _newest(self, count: int) -> DecisionLog:
        return DecisionLog(records=tuple(self.records[-count:]), unkept=self._unkept)

    def _record(
        self, now: datetime, kind: RecordKind, name: str = "", decision: Decision | None = None, **fields: Any
    ) -> GateRecord:
        """Add a record; messages that changed nothing are kept only up to a limit."""
        if decision is not None:
            fields |= {"by": decision.by, "channel": decision.channel, "verdict": decision.verdict}
            fields["verified"] = decision.verified
        fields["reason"] = fields.get("reason", "")[:SUMMARY_LENGTH]
        last = self.records[-1] if self.records else None
        seq, previous = (last.seq + 1, last.hash) if last else (1, "")
        record = GateRecord(seq=seq, when=now, kind=kind, previous=previous, gate=name, **fields).sealed()
        self._noise += kind in NOISE
        if kind in NOISE and self._noise > NOISE_KEPT:
            self._unkept += record.message
        else:
            self.records.append(record)
        return record
