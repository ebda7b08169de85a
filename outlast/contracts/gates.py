"""Gates: where a run waits for people, by which policy, what they decided, and the outcome.

An open gate can wait for weeks and go through several deploys and continuations. So all of its state is here, as a
schema, and none of it in a coroutine.
"""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from outlast.contracts.actions import Approval, ArgumentsShown, ProposedAction, Risk, invisible
from outlast.contracts.base import Contract, Summary
from outlast.contracts.decisions import DecisionLog, Verdict

YEAR = 31_536_000.0
"""Longest deadline, in seconds."""


class OnTimeout(StrEnum):
    """What the end of the time means; never a yes."""

    DENY = "deny"
    HALT = "halt"
    """The whole run fails with Halted: what runs is cancelled, nothing else starts, no fallback is asked."""
    ESCALATE = "escalate"
    """The gate goes to `escalate_to` for as long again, once, and is denied then."""


class GateOutcome(StrEnum):
    """Where a gate is; each ends in exactly one of the last five."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    TIMED_OUT = "timed out"
    HALTED = "halted"
    CANCELLED = "cancelled"


class GatePolicy(Contract):
    """Who must approve, and for how long they are waited for; one denial by anybody who may decide settles a gate."""

    needed: int = Field(default=1, ge=1, le=100)
    """How many different people must approve, from 1 to 100."""
    eligible: tuple[str, ...] = ()
    """Names of those who may decide; empty: anybody."""
    requester_may_approve: bool = False
    """Whether whoever asked for the run may approve what it proposes."""
    deadline: float = Field(default=300.0, gt=0, le=YEAR)
    """How long people have, in seconds, at most a year."""
    deadlines: Mapping[Risk, float] = Field(default_factory=dict)
    """How long they have for an action of a given risk, in seconds; `deadline` holds for the others."""
    remind_every: float | None = Field(default=None, ge=1)
    """Seconds between reminders while the gate waits; None: no reminder."""
    escalate_after: float | None = Field(default=None, gt=0)
    """Seconds after which `escalate_to` may decide as well; None: they may not, unless the time-out escalates."""
    escalate_to: tuple[str, ...] = ()
    """Names of those to whom the gate is escalated."""
    on_timeout: OnTimeout = OnTimeout.DENY
    """What happens at the deadline."""
    edit_needs_another_approver: bool = True
    """Whether a person who edits the arguments does not count among their approvers."""

    @model_validator(mode="after")
    def _can_be_met(self) -> "GatePolicy":
        if (self.escalate_after is not None or self.on_timeout is OnTimeout.ESCALATE) and not self.escalate_to:
            raise ValueError("escalate_to: name the people to whom the gate is escalated")
        wrong = [risk for risk, seconds in self.deadlines.items() if not 0 < seconds <= YEAR]
        if wrong:
            raise ValueError(f"deadlines.{wrong[0]}: give seconds, more than 0 and at most {YEAR:.0f}")
        people = {named(name) for name in (*self.eligible, *self.escalate_to)}
        if self.eligible and len(people) < self.needed:
            raise ValueError(
                f"needed: {self.needed} people must approve, but eligible and escalate_to name {len(people)}"
            )
        return self

    def seconds(self, risk: Risk) -> float:
        """Return how long people have for an action of that risk."""
        return self.deadlines.get(risk, self.deadline)


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


def visible(text: str) -> str:
    """Leave out the characters that nothing shows: format characters, fillers, variation selectors."""
    return "".join(one for one in text if not invisible(one) or one.isspace())


def named(name: str) -> str:
    """Write a person's name as it is compared: neither case, spaces, compatibility forms nor invisible characters count.

    Letters of other scripts that look alike do count: signed decisions (APPROVER_SECRET) prevent impersonation.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split()).casefold()
    folded = unicodedata.normalize("NFKC", visible(unicodedata.normalize("NFKC", name))).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
