"""The audit trail: every message of a person and every change of a gate, each record with the hash of the one before.

A chain shows that a record was changed, not who may write it: anyone who can rewrite all of history can also rewrite the
chain. Compare its head with a copy kept elsewhere (a notification, a printed audit).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from outlast.contracts.actions import ArgumentsShown, hashed
from outlast.contracts.base import Contract, Summary

NOISE_KEPT = 200
"""Records of messages that changed nothing, kept in one log; more are only counted, or a flood would fill the run."""
NOT_BY_REQUESTER = "asked for this action and may not approve it"
"""Marks the name of a requester who approves what their own run proposes."""


class Verdict(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    DENY = "deny"


class RecordKind(StrEnum):
    """What a record is about."""

    OPENED = "opened"
    COUNTED = "counted"
    """A yes, but more are needed."""
    EDITED = "edited"
    """The arguments were changed: another digest, and everybody decides anew."""
    APPROVED = "approved"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    HALTED = "halted"
    CANCELLED = "cancelled"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    EARLY = "early"
    """Kept until its gate opens."""
    DUPLICATE = "duplicate"
    LATE = "late"
    REFUSED = "refused"
    """Understood, but not allowed or not about this action."""
    UNREADABLE = "unreadable"
    ALLOWED = "allowed"
    """No gate opened: the request of the run allows all calls of this tool."""


NOISE = (RecordKind.EARLY, RecordKind.DUPLICATE, RecordKind.LATE, RecordKind.REFUSED, RecordKind.UNREADABLE)
"""Kinds of records that changed no gate."""


class GateRecord(Contract):
    """One record: `when` in workflow time (UTC), `digest` of the action it is about, `previous` the hash of the record before.

    `by` is what the sender claims, unless `verified` says that a signed token proves it; who may send at all is decided by the
    server's authorisation.
    """

    seq: int
    when: datetime
    kind: RecordKind
    previous: str
    gate: str = ""
    by: str = ""
    channel: str = ""
    verdict: str = ""
    digest: str = ""
    reason: Summary = ""
    message: bool = False
    verified: bool = False
    hash: str = ""

    def sealed(self) -> "GateRecord":
        """Return the record with its hash."""
        return self.model_copy(update={"hash": self.computed()})

    def computed(self) -> str:
        """Compute the hash that this record must have."""
        # Defaults are left out, so that a field added later does not change the hash of an old record.
        return hashed({name: value for name, value in self.model_dump(mode="json").items() if name != "hash"})


class DecisionLog(Contract):
    """The chain of one run, oldest first; `unkept` counts messages that changed nothing and were too many to keep.

    After continue-as-new it begins with what was taken along; the records before are in the history of the run before.
    """

    records: tuple[GateRecord, ...] = ()
    unkept: int = 0

    @property
    def head(self) -> str:
        """The hash of the last record."""
        return self.records[-1].hash if self.records else ""


def breaks(records: Sequence[GateRecord], *, whole: bool = True) -> tuple[str, ...]:
    """Return where a chain is broken, in words, one for each place; nothing means that no record was changed, lost or added.

    A chain that is not `whole` may begin in the middle.
    """
    problems: list[str] = []
    for at, record in enumerate(records):
        before = records[at - 1] if at else None
        if record.hash != record.computed():
            problems.append(f"record {record.seq}: its hash does not fit what it says; it was changed")
        if before is not None and record.previous != before.hash:
            problems.append(f"record {record.seq}: it does not follow record {before.seq}")
        if before is not None and record.seq != before.seq + 1:
            problems.append(f"record {record.seq}: follows record {before.seq}, so some are missing or repeated")
        if before is None and whole and (record.seq, record.previous) != (1, ""):
            problems.append(f"record {record.seq}: the chain does not begin with it")
    return tuple(problems)


SEARCH_ATTRIBUTES: Mapping[str, str] = {
    "AgentPattern": "Keyword",
    "AgentState": "Keyword",
    "PendingGate": "Keyword",
    "GateDeadline": "Datetime",
    "CostUsd": "Double",
}
"""The search attributes of our runs and their types; used only where all of them are registered."""


class GateTermsRequest(Contract):
    """Asks by which terms gates open in this deployment, and what is in the arguments at `ref`, if they are kept there."""

    ref: str | None = None


class GateTerms(Contract):
    """The terms by which a gate opens: recorded when it does, because workflow code can ask neither settings nor server.

    `channels` counts the notification channels, `demands_token` whether decisions must be signed, `indexed` whether the search
    attributes are registered. `run` is the run id of the asking run: after a reset it tells gates opened before from those opened
    since. `arguments` are those that were asked for, None where the store did not give them.
    """

    channels: int = 0
    demands_token: bool = False
    indexed: bool = False
    run: str = ""
    arguments: ArgumentsShown | None = None


class IdentityRequest(Contract):
    """A decision's token and what it is used for; `at` is when it arrived.

    Only for a local activity, whose input is not recorded.
    """

    recorded: ClassVar[bool] = False

    token: str
    at: datetime
    run: str
    chain: str = ""
    """The first run id of the run: tells it from another run of the same workflow id."""
    gate: str = ""
    digest: str = ""
    verdict: str = ""
    edit: str = ""
    """The hash of the edited arguments; empty where nothing is edited."""


class Identity(Contract):
    """Who sent a decision, proven by its token, and the gate and action that the token is bound to; or `refused`, and why."""

    by: str = ""
    gate: str = ""
    digest: str = ""
    jti: str = ""
    expires: datetime | None = None
    refused: Summary = ""
