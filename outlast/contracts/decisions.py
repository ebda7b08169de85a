"""The audit trail: every message of a person and every change of a gate, each record with the hash of the one before.

A chain shows that a record was changed, not who may write it: anyone who can rewrite all of history can also rewrite the
chain. Compare its head with a copy kept elsewhere (a notification, a printed audit).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from outlast.contracts.actions import ArgumentsShown, Risk, hashed
from outlast.contracts.base import Contract, Summary
from outlast.contracts.steering import GatePolicy, QuestionPolicy

NOISE_KEPT = 200
"""Records of messages that changed nothing, kept in one log; more are only counted, or a flood would fill the run."""
NOT_BY_REQUESTER = "asked for this action and may not approve it"
"""Marks the name of a requester who approves what their own run proposes."""


class Verdict(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    DENY = "deny"
    REVOKE = "revoke"
    """Takes back that an approval stands for the rest of the run."""


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
    COVERED = "covered"
    """No gate opened: an approval that stands for the run covers this call."""
    REVOKED = "revoked"
    """An approval stands no longer: from here on each call waits for people again."""
    SHARED = "shared"
    """An approval stands here, too, that was given in the run of an agent above or below."""


NOISE = (RecordKind.EARLY, RecordKind.DUPLICATE, RecordKind.LATE, RecordKind.REFUSED, RecordKind.UNREADABLE)
"""Kinds of records that changed no gate."""


class GateRecord(Contract):
    """One record of the audit trail."""

    seq: int
    """Number of the record in its chain, from 1 on."""
    when: datetime
    """When it was written, in workflow time (UTC)."""
    kind: RecordKind
    """What happened."""
    previous: str
    """Hash of the record before; empty for the first one."""
    gate: str = ""
    """Name of the gate it is about; empty where a message named none."""
    by: str = ""
    """Who sent the message; only their own claim, unless it is `verified`."""
    channel: str = ""
    """How it came: `signal` or `update`; `request` where the run's own request allows the tool, `standing` where an earlier
    approval covers the call, `run` where it comes from another run of the tree."""
    verdict: str = ""
    """What the sender decided: `approve` or `deny`; empty where there was no decision."""
    digest: str = ""
    """Digest of the action it is about: sha-256, hex."""
    reason: Summary = ""
    """Why, in the sender's words or the run's, at most 200 characters."""
    standing: Summary = ""
    """What else the approval covers in this run, in words, at most 200 characters; empty: this action alone."""
    message: bool = False
    """Whether a person's message caused it, and not the run itself."""
    verified: bool = False
    """Whether a signed token proves `by`."""
    hash: str = ""
    """Sha-256 (hex) of all other fields; empty until the record is sealed."""

    def sealed(self) -> "GateRecord":
        """Return the record with its hash."""
        return self.model_copy(update={"hash": self.computed()})

    def computed(self) -> str:
        """Compute the hash that this record must have."""
        # Defaults are left out, so that a field added later does not change the hash of an old record.
        return hashed({name: value for name, value in self.model_dump(mode="json").items() if name != "hash"})


class DecisionLog(Contract):
    """The chain of one run.

    After continue-as-new it begins with what was taken along; the records before are in the history of the run before.
    """

    records: tuple[GateRecord, ...] = ()
    """The records, oldest first."""
    unkept: int = 0
    """Count of messages that changed nothing and were too many to keep."""

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
    """Asks for the terms of gates in this deployment, and for arguments that are in the content store."""

    ref: str | None = None
    """Arguments to read, as their key in the content store; None where there are none to read."""
    risk: Risk = Risk.MEDIUM
    """Risk of the action that the gate is for."""
    tool: str = ""
    """Name of the tool that it calls; empty: none."""
    question: bool = False
    """Whether they are asked for a question, and not for a gate."""


class GateTerms(Contract):
    """The terms by which a gate opens: recorded when it does, because workflow code can ask neither settings nor
    server."""

    channels: int = 0
    """Count of the notification channels."""
    webhooks: int = 0
    """Count of the addresses in WEBHOOK_URLS."""
    slack: bool = False
    """Whether gates and questions are shown in Slack."""
    demands_token: bool = False
    """Whether decisions must be signed."""
    indexed: bool = False
    """Whether the search attributes are registered."""
    run: str = ""
    """Run id of the asking run: after a reset it tells gates opened before from those opened since."""
    arguments: ArgumentsShown | None = None
    """The arguments that were asked for; None where the store did not give them."""
    policy: GatePolicy | None = None
    """What the deployment says of gates for this action; None: nothing."""
    inbox: str = ""
    """Address of the inbox, for links; empty: none is set."""
    questions: QuestionPolicy = QuestionPolicy()
    """What the deployment says of questions; nothing where the terms are for a gate."""


class UsedToken(Contract):
    """A token that has counted."""

    expires: datetime
    """Until when it was valid (UTC)."""
    fingerprint: str
    """Hash of its content, by which the same token is known again."""


class IdentityRequest(Contract):
    """A decision's token and what it is used for.

    Only for a local activity, whose input is not recorded.
    """

    recorded: ClassVar[bool] = False

    token: str
    """The signed token, as it was sent."""
    at: datetime
    """When the decision arrived (UTC)."""
    run: str
    """Workflow id of the run that got it."""
    chain: str = ""
    """The first run id of the run: tells it from another run of the same workflow id."""
    gate: str = ""
    """Name of the gate that the decision is for; empty where it named none."""
    digest: str = ""
    """Digest of the action that the decision names; empty where it names none."""
    verdict: str = ""
    """What was decided: `approve` or `deny`."""
    edit: str = ""
    """The hash of the edited arguments; empty where nothing is edited."""
    stop_asking: str = ""
    """The hash of the bounds within which nobody shall be asked again; empty where the decision is for this action alone."""


class Identity(Contract):
    """Who sent a decision, proven by its token, and the gate and action that the token is bound to; or why it was
    refused."""

    by: str = ""
    """Name of the sender, proven by the token; empty where it was refused."""
    gate: str = ""
    """Name of the gate that the token is good for."""
    digest: str = ""
    """Digest of the action that the token is good for."""
    jti: str = ""
    """Number of the token, by which a second use is noticed."""
    expires: datetime | None = None
    """When the token ends (UTC); None where it was refused."""
    refused: Summary = ""
    """Why the token proves nothing, at most 200 characters; empty where it does."""
