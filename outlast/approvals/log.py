"""The decision log of one run as it is written: each record holds the hash of the one before; pure."""

from datetime import datetime
from typing import Any

from outlast.contracts import NOISE, NOISE_KEPT, SUMMARY_LENGTH, DecisionLog, GateRecord, RecordKind


class RecordChain:
    """The records of one run, oldest first; of those that changed nothing only as many as there is room for."""

    def __init__(self, carried: DecisionLog) -> None:
        self.records: list[GateRecord] = list(carried.records)
        self.unkept = carried.unkept
        self._noise = sum(record.kind in NOISE for record in self.records)

    def add(self, now: datetime, kind: RecordKind, gate: str, **fields: Any) -> GateRecord:
        """Add a record, and return it."""
        fields["reason"] = fields.get("reason", "")[:SUMMARY_LENGTH]
        last = self.records[-1] if self.records else None
        seq, previous = (last.seq + 1, last.hash) if last else (1, "")
        record = GateRecord(seq=seq, when=now, kind=kind, previous=previous, gate=gate, **fields).sealed()
        self._noise += kind in NOISE
        if kind in NOISE and self._noise > NOISE_KEPT:
            self.unkept += record.message
            return record
        self.records.append(record)
        return record
