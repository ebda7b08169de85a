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
from outlast.contracts.decisions import DecisionLog, RecordKind, Verdict

YEAR = 31_536_000.0
"""Longest deadline, in seconds."""

GATES_MEMO = "gates"
RECORDS_MEMO = "gate_records"
GATE_MEMO = "gate: "
"""Memo fields: where the log stands, its newest records, and one for each waiting gate: a change writes that gate alone."""
GATES_IN_MEMO = 200
"""Waiting gates that a memo shows; a server refuses a memo over 2 MB, and a worker knows the others."""


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
    """Who must say yes, and for how long they are waited for; one denial by anybody who may decide settles a gate.

    `eligible` are names (none: anybody), `needed` how many different people must approve. `deadline`, `deadlines` by risk,
    `remind_every` and `escalate_after` are in seconds; after `escalate_after`, `escalate_to` may decide as well. With
    `edit_needs_another_approver` a person who edits the arguments does not count among their approvers.
    """

    needed: int = Field(default=1, ge=1, le=100)
    eligible: tuple[str, ...] = ()
    requester_may_approve: bool = False
    deadline: float = Field(default=300.0, gt=0, le=YEAR)
    deadlines: Mapping[Risk, float] = Field(default_factory=dict)
    remind_every: float | None = Field(default=None, ge=1)
    escalate_after: float | None = Field(default=None, gt=0)
    escalate_to: tuple[str, ...] = ()
    on_timeout: OnTimeout = OnTimeout.DENY
    edit_needs_another_approver: bool = True

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
    """One counted yes."""

    by: str
    when: datetime
    reason: Summary = ""


class GateState(Contract):
    """One gate, all of it; `proposed` is the digest of the action when it opened, `digest` that of the action as it stands.

    `approvers` approved the action as it stands, `editor` changed it last; `claimed` once the run has gone on from it.
    `shown` is what every channel shows of the arguments, `takes` names those that an edit may give (none: any). `run` is the run
    id under which it opened, `after_reset` says that this was in a run that had been reset.
    """

    name: str
    action: ProposedAction
    proposed: str
    digest: str
    policy: GatePolicy
    opened: datetime
    deadline: datetime
    requester: str = ""
    approvers: tuple[Approver, ...] = ()
    editor: str = ""
    reminded: datetime | None = None
    escalated: bool = False
    extended: bool = False
    outcome: GateOutcome = GateOutcome.PENDING
    settled: datetime | None = None
    by: tuple[str, ...] = ()
    reason: Summary = ""
    claimed: bool = False
    shown: ArgumentsShown = ArgumentsShown()
    takes: tuple[str, ...] = ()
    run: str = ""
    after_reset: bool = False

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
    """What a person sent, as far as it was understood; `gate` may be empty where only one waits.

    `edit` replaces all arguments of the action, `digest` names the action that the person saw (at least 12 characters).
    `verified` is set by the run alone, once the `token` has proven `by`; until then both are kept, and when it was `received`.
    """

    verdict: Verdict
    gate: str = ""
    by: str = ""
    reason: Summary = ""
    digest: str = ""
    edit: dict[str, Any] | None = None
    channel: str = ""
    verified: bool = False
    token: str = ""
    received: datetime | None = None


class UsedToken(Contract):
    """A token that has counted: until when it was valid, and a hash of its content."""

    expires: datetime
    fingerprint: str


class GateDecision(Contract):
    """What a gate came to: the action as approved (with edits), who decided, and the approval for the activity that acts."""

    gate: str
    outcome: GateOutcome
    action: ProposedAction
    by: tuple[str, ...] = ()
    reason: Summary = ""
    approval: Approval | None = None

    @property
    def approved(self) -> bool:
        """Whether the action may be carried out."""
        return self.outcome is GateOutcome.APPROVED and self.approval is not None


class GateView(Contract):
    """A waiting gate as people see it: what exactly, how bad, until when, and whose yes is missing.

    `arguments` are JSON, cut after 1,000 characters: then they are not `whole`, and an approval must name the digest. `size` is
    that of all of them in bytes, `counts` says how much is in them, `ref` where they are kept. `signed` says that decisions need
    a token.
    """

    name: str
    description: Summary
    deadline: datetime
    digest: str
    agent: str = ""
    tool: str = ""
    arguments: str = ""
    target: str = ""
    risk: Risk = Risk.MEDIUM
    needed: int = 1
    approved_by: tuple[str, ...] = ()
    may_decide: tuple[str, ...] = ()
    requester: str = ""
    requester_may_approve: bool = False
    signed: bool = False
    opened: datetime | None = None
    whole: bool = True
    size: int = 0
    counts: tuple[str, ...] = ()
    ref: str | None = None

    @property
    def approval_rule(self) -> str:
        """Who may not approve although anybody else may, in words; "" where nobody is barred."""
        barred = bool(self.requester) and not self.requester_may_approve
        return f"{self.requester} asked for it, so somebody else has to approve" if barred else ""

    def bars(self, who: str) -> bool:
        """Whether somebody may not approve, because they asked for it."""
        return bool(self.approval_rule) and named(who) == named(self.requester)


class GatesShown(Contract):
    """What the memo of a run says of its gates, readable without any worker: those that wait, and where its decision log stands.

    `waiting` is put together from a field of its own for each gate, and holds at most 200; `more` counts the others.
    `turned_down` are the newest messages that changed nothing while these gates wait, and why.
    """

    waiting: tuple[GateView, ...] = ()
    records: int = 0
    head: str = ""
    turned_down: tuple[Summary, ...] = ()
    more: int = 0


class WaitingActions(Contract):
    """What waits at the gates of a run, whole, by the name of the gate; asked of a worker, because a memo holds only so much."""

    actions: Mapping[str, ProposedAction] = Field(default_factory=dict)


class GateNews(Contract):
    """A notification: a gate of a run opened, was edited, escalated or settled (`kind`), or still waits (`reminded`).

    `to` names who is notified (none: all channels); `head` is the last hash of the decision log, noted outside.
    """

    workflow_id: str
    kind: RecordKind
    gate: GateView
    outcome: GateOutcome = GateOutcome.PENDING
    to: tuple[str, ...] = ()
    head: str = ""


class GatesCarried(Contract):
    """All gates of a run: what continue-as-new takes along.

    `early` are decisions that wait for their gate to open, `opened` counts all gates so far, those left behind as well.
    `tokens` are those that have counted, by number, as long as they are good.
    """

    gates: tuple[GateState, ...] = ()
    early: tuple[Decision, ...] = ()
    opened: int = 0
    log: DecisionLog = DecisionLog()
    tokens: Mapping[str, UsedToken] = Field(default_factory=dict)


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
