"""Gates: where a run waits for people, by which policy, what they decided, and the outcome.

An open gate can wait for weeks and go through several deploys and continuations. So all of its state is here, as a
schema, and none of it in a coroutine.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from outlast.contracts.actions import Approval, ArgumentsShown, Produced, ProposedAction, hashed
from outlast.contracts.base import Contract, Summary
from outlast.contracts.decisions import DecisionLog, UsedToken, Verdict
from outlast.contracts.steering import GatePolicy

RUN_SHOWN = 60
"""Characters of the end of a run's id that name what was decided there."""


class GateOutcome(StrEnum):
    """Where a gate is; each ends in exactly one of the last five."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    HALTED = "halted"
    CANCELLED = "cancelled"


class Bounds(Contract):
    """Which further calls of a tool an approval covers in its run; without any bound all of them."""

    same: tuple[str, ...] = ()
    """Names of the arguments that must have the value that was approved."""
    same_host: tuple[str, ...] = ()
    """Names of the arguments, web addresses, whose scheme, host and port must be those that were approved."""
    at_most: Mapping[str, float] = Field(default_factory=dict)
    """Names of the arguments, numbers from 0 on, and the most that each may be."""

    @property
    def digest(self) -> str:
        """By which a signed token names them: sha-256, hex."""
        return hashed(dict(self))

    @property
    def as_sent(self) -> dict[str, Any] | bool:
        """How a message gives them."""
        return self.model_dump() or True


class Approver(Contract):
    """One counted approval."""

    by: str
    """Name of the person."""
    when: datetime
    """When it was counted, in workflow time (UTC)."""
    reason: Summary = ""
    """Why, in their words, at most 200 characters; may be empty."""
    stop_asking: Bounds | None = None
    """Within which bounds they want to be asked no more; None: they approved this action alone."""
    verified: bool = False
    """Whether a signed token proves `by`."""


class StandingApproval(Contract):
    """An approval that covers further calls of its tool in its run, and in those of agents above and below."""

    gate: str
    """Name of the gate at which it was given."""
    given_in: str = ""
    """Workflow id of the run at whose gate it was given; empty: this run."""
    tool: str
    """Name of the tool."""
    target: str = ""
    """What the calls change, as it was approved: the server of the tool."""
    by: tuple[str, ...]
    """Names of those who gave it."""
    verified: bool = False
    """Whether signed tokens prove all of these names."""
    since: datetime
    """When it was given, in workflow time (UTC)."""
    digest: str
    """Digest of the action that was approved: sha-256, hex."""
    run: str = ""
    """Run id under which it was given; a run that was reset has another one, and is covered by none of before."""
    same: Mapping[str, str] = Field(default_factory=dict)
    """Arguments that must have the approved value, each with the sha-256 (hex) of it."""
    same_host: Mapping[str, str] = Field(default_factory=dict)
    """Arguments that must be on the approved host, each with scheme, host and port."""
    at_most: Mapping[str, float] = Field(default_factory=dict)
    """Arguments that are numbers from 0 on, each with the most that it may be."""
    words: Summary
    """Which calls it covers, in words, at most 200 characters."""
    may_revoke: tuple[str, ...] = ()
    """Names of those who may revoke it; empty: anybody."""
    covered: int = 0
    """Count of the calls that it has covered, in this run alone."""

    @property
    def name(self) -> str:
        """By which it is known and revoked in this run: its gate, and the end of the other run's id where there is one."""
        return f"{self.gate}@{self.given_in.rpartition('/')[2][-RUN_SHOWN:]}" if self.given_in else self.gate

    @property
    def description(self) -> str:
        """By whom what is approved, in one line."""
        return f"approved by {', '.join(self.by)} for this run ({self.words}; {self.name})"


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
    asked_by: tuple[str, ...] = ()
    """Who asked for the action beside the requester: those whose messages the agent of a conversation works on."""
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
    repeats: bool = False
    """Whether its action is a call of a tool, of which people may approve further calls at the same time."""
    before: tuple[Produced, ...] = ()
    """What earlier steps produced, for whoever decides."""
    standing: Summary = ""
    """By which approval of another call it was settled, in words; empty: by people at this gate, or not yet."""

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
    def askers(self) -> tuple[str, ...]:
        """All who asked for it, who may not approve it unless the policy says so."""
        return tuple(filter(None, (self.requester, *self.asked_by)))

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
    stop_asking: Bounds | None = None
    """Within which bounds nobody shall be asked about further calls; None: the decision is for this action alone."""
    channel: str = ""
    """How it came: `signal` or `update`."""
    verified: bool = False
    """Whether a token has proven `by`; set by the run alone."""
    token: str = ""
    """The signed token, kept until it is checked; empty where there is none."""
    received: datetime | None = None
    """When it arrived (UTC), kept until the token is checked."""

    @property
    def lasts(self) -> bool:
        """Whether it is about more than one action: an approval that stands for the run, or the end of one."""
        return self.stop_asking is not None or self.verdict is Verdict.REVOKE


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
    standing: str = ""
    """By which approval it is covered, in words; empty: people decided on it at a gate of its own."""

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
    elsewhere: tuple[GateState, ...] = ()
    """Gates of other runs that this one is part of, or that are part of it, at which an action was denied."""
    slack: SlackThread = SlackThread()
    """Where the messages about them stand in Slack."""
    standing: tuple[StandingApproval, ...] = ()
    """Approvals that cover further calls."""
    revoked: tuple[StandingApproval, ...] = ()
    """Approvals that did, and were revoked."""
    signed: bool = False
    """Whether decisions must be signed: so it is from the first message on, before anything is known of the deployment."""
