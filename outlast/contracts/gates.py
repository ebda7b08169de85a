"""Gates: where a run waits for people, by which policy, what they decided, and the outcome.

An open gate can wait for weeks and go through several deploys and continuations. So all of its state is here, as a
schema, and none of it in a coroutine.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from outlast.contracts.actions import Approval, ArgumentsShown, ProposedAction
from outlast.contracts.base import Contract, Summary
from outlast.contracts.decisions import DecisionLog, Verdict
from outlast.contracts.steering import GatePolicy


class GateOutcome(StrEnum):
    """Where a gate is; each ends in exactly one of the last five."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    HALTED = "halted"
    CANCELLED = "cancelled"


class Approver(Contract):
    """One counted approval."""

    by: str
    """Name of the person."""
    when: datetime
    """When it was counted, in workflow time (UTC)."""
    reason: Summary = ""
    """Why, in their words, at most 200 characters; may be empty."""


class GateState(Contract):
    """One gate, all of it."""

    name: str
    """Name of the gate, unique in its run."""
    action: ProposedAction
    """The action as it stands, with edits."""
    proposed: str
    """Digest of the action when the gate opened: sha-256, hex."""
    digest: str
    """Digest of the action as it stands: sha-256, hex."""
    policy: GatePolicy
    """Who may decide, and until when."""
    opened: datetime
    """When it opened, in workflow time (UTC)."""
    deadline: datetime
    """When its time ends (UTC)."""
    requester: str = ""
    """Who asked for the run; empty where it names nobody."""
    approvers: tuple[Approver, ...] = ()
    """Those who approved the action as it stands."""
    editor: str = ""
    """Who changed the action last; empty: nobody did."""
    reminded: datetime | None = None
    """When people were last reminded (UTC); None: not yet."""
    escalated: bool = False
    """Whether `escalate_to` of the policy may decide as well."""
    extended: bool = False
    """Whether the deadline was extended by an escalation, which happens once."""
    outcome: GateOutcome = GateOutcome.PENDING
    """Where the gate is, or how it ended."""
    settled: datetime | None = None
    """When it ended (UTC); None while it waits."""
    by: tuple[str, ...] = ()
    """Names of those who settled it; empty where nobody did."""
    reason: Summary = ""
    """Why it ended that way, at most 200 characters."""
    claimed: bool = False
    """Whether the run has gone on from it."""
    shown: ArgumentsShown = ArgumentsShown()
    """What every channel shows of the arguments."""
    takes: tuple[str, ...] = ()
    """Names of the arguments that an edit may give; empty: any."""
    run: str = ""
    """Run id under which it opened."""
    after_reset: bool = False
    """Whether it opened in a run that had been reset."""

    @field_validator("policy")
    @classmethod
    def _leaves_nothing_open(cls, policy: GatePolicy) -> GatePolicy:
        """Fill in what a gate of an earlier version left to the defaults of then."""
        return policy.within(None)

    @property
    def needed(self) -> int:
        """How many different people must approve."""
        return self.policy.needed or 1

    @property
    def pending(self) -> bool:
        """Whether people can still decide."""
        return self.outcome is GateOutcome.PENDING

    @property
    def denied(self) -> bool:
        """Whether people denied it, which holds for the rest of the run."""
        return self.outcome is GateOutcome.DENIED

    @property
    def may_decide(self) -> tuple[str, ...]:
        """The people who may decide now; none means anybody."""
        policy = self.policy
        return (*policy.eligible, *policy.escalate_to) if policy.eligible and self.escalated else policy.eligible

    @property
    def listed(self) -> tuple[str, ...]:
        """The names by which the policy knows those who may decide now; a plain text is taken for no other name."""
        policy = self.policy
        return (*policy.eligible, *policy.escalate_to) if self.escalated else policy.eligible


class Decision(Contract):
    """What a person sent, as far as it was understood."""

    verdict: Verdict
    """What they decided."""
    gate: str = ""
    """Name of the gate; may be empty where only one waits."""
    by: str = ""
    """Who sent it, by their own claim unless `verified`."""
    reason: Summary = ""
    """Why, in their words; may be empty."""
    digest: str = ""
    """Digest of the action that the person saw, at least its first 12 characters; empty: not named."""
    edit: dict[str, Any] | None = None
    """Replaces all arguments of the action; None leaves them as they are."""
    channel: str = ""
    """How it came: `signal` or `update`."""
    verified: bool = False
    """Whether a token has proven `by`; set by the run alone."""
    token: str = ""
    """The signed token, kept until it is checked; empty where there is none."""
    received: datetime | None = None
    """When it arrived (UTC), kept until the token is checked."""


class UsedToken(Contract):
    """A token that has counted."""

    expires: datetime
    """Until when it was valid (UTC)."""
    fingerprint: str
    """Hash of its content, by which the same token is known again."""


class GateDecision(Contract):
    """What a gate came to."""

    gate: str
    """Name of the gate."""
    outcome: GateOutcome
    """How it ended."""
    action: ProposedAction
    """The action as it was decided, with edits."""
    by: tuple[str, ...] = ()
    """Names of those who decided; empty where nobody did."""
    reason: Summary = ""
    """Why, at most 200 characters; may be empty."""
    approval: Approval | None = None
    """The approval for the activity that acts; None where the action was not approved."""

    @property
    def approved(self) -> bool:
        """Whether the action may be carried out."""
        return self.outcome is GateOutcome.APPROVED and self.approval is not None


class SlackThread(Contract):
    """Where a run's messages stand in Slack: what continue-as-new takes along."""

    channel: str = ""
    """Slack's id of the channel; empty: nothing was posted yet."""
    thread: str = ""
    """Slack's `ts` of the first message of the run, which all others answer; empty: there is none yet."""
    messages: Mapping[str, str] = Field(default_factory=dict)
    """Slack's `ts` of the message of each gate and question that waits, by its name."""


class GatesCarried(Contract):
    """All gates of a run: what continue-as-new takes along."""

    gates: tuple[GateState, ...] = ()
    """Those that the run has not gone on from, whole; of the others the newest and the denied ones, in short."""
    early: tuple[Decision, ...] = ()
    """Decisions that wait for their gate to open."""
    opened: int = 0
    """Count of all gates so far, those left behind as well."""
    log: DecisionLog = DecisionLog()
    """The audit trail, as far as it is taken along."""
    tokens: Mapping[str, UsedToken] = Field(default_factory=dict)
    """Tokens that have counted, by their number, as long as they are valid."""
    slack: SlackThread = SlackThread()
    """Where the messages about them stand in Slack."""
