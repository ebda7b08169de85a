"""The approvals that stand for further calls, and the records of what they cover, here and in other runs of the tree."""

from datetime import datetime
from typing import Any

from outlast.approvals.book.records import Records
from outlast.approvals.rules import in_words
from outlast.approvals.standing.given import Given
from outlast.contracts import Decided, GatePolicy, GatesCarried, ProposedAction, RecordKind, StandingApproval


class Covering(Records):
    """The log of one run and its standing approvals; `signed` says whether names must be proven by tokens."""

    def __init__(self, carried: GatesCarried) -> None:
        super().__init__(carried.log)
        self.standing = Given(carried.standing, carried.revoked)
        self.signed = False

    def cover(
        self, action: ProposedAction, policy: GatePolicy, asked_by: tuple[str, ...], now: datetime
    ) -> StandingApproval | None:
        """Return the approval that covers a call, and record that it does; None where people must be asked."""
        if (given := self.standing.covering(action, policy, asked_by, signed=self.signed)) is not None:
            self.standing.count(given)
            how: dict[str, Any] = {"channel": "standing", "digest": action.digest, "reason": in_words(action)}
            self._record(now, RecordKind.COVERED, given.name, by=", ".join(given.by), **how)
        return given

    def adopt(self, decided: Decided, run: str, now: datetime) -> bool:
        """Take over what people decided in another run of the tree, and record it; returns whether more is covered now.

        `run` is the id of this one.
        """
        new, ended = self.standing.adopt(decided, run)
        for each in ended:
            self._record(now, RecordKind.REVOKED, each.name, channel="run", digest=each.digest, reason=each.words)
        for each in new:
            who: dict[str, Any] = {"by": ", ".join(each.by), "verified": each.verified}
            how: dict[str, Any] = {"channel": "run", "digest": each.digest, "reason": each.words}
            self._record(now, RecordKind.SHARED, each.name, **who, **how)
        return bool(new)
