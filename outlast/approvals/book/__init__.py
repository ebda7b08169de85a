"""The gates of one run and every decision on them, without a clock and without Temporal: time is passed in.

Open `gates.py` first: what a decision does to a gate; `records.py` writes the log.
"""

from outlast.approvals.book.gates import EARLY_KEPT, RECORDS_CARRIED, SETTLED_CARRIED, GateBook

__all__ = ["EARLY_KEPT", "RECORDS_CARRIED", "SETTLED_CARRIED", "GateBook"]
