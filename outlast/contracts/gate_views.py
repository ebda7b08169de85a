"""Gates as people see them: in the memo of a run, in the status query, and in notifications."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from outlast.contracts.actions import SHORT_DIGEST, Produced, ProposedAction, Risk, hashed, named
from outlast.contracts.base import Contract, Summary
from outlast.contracts.decisions import RecordKind
from outlast.contracts.gates import GateOutcome, GateState, StandingApproval

GATES_MEMO = "gates"
RECORDS_MEMO = "gate_records"
GATE_MEMO = "gate: "
"""Memo fields: where the log stands, its newest records, and one for each waiting gate: a change writes that gate alone."""
GATES_IN_MEMO = 200
"""Waiting gates that a memo shows; a server refuses a memo over 2 MB, and a worker knows the others."""


class GateView(Contract):
    """A waiting gate as people see it: what exactly, how bad, until when, and whose approval is missing."""

    name: str
    """Name of the gate, by which it is decided."""
    description: Summary
    """What shall be done, in words, at most 200 characters."""
    deadline: datetime
    """When its time ends (UTC)."""
    digest: str
    """Digest of the action: sha-256, hex."""
    agent: str = ""
    """Name of the agent that proposes the action."""
    tool: str = ""
    """Name of the tool to call."""
    arguments: str = ""
    """The arguments as JSON, cut after 1,000 characters."""
    target: str = ""
    """What the action changes: an account, a path, an address."""
    risk: Risk = Risk.MEDIUM
    """How bad a wrong approval would be."""
    needed: int = 1
    """How many different people must approve."""
    approved_by: tuple[str, ...] = ()
    """Names of those who have approved so far."""
    may_decide: tuple[str, ...] = ()
    """Names of those who may decide now; empty: anybody."""
    requester: str = ""
    """Who asked for the run; empty where it names nobody."""
    asked_by: tuple[str, ...] = ()
    """Who asked for the action beside the requester: those whose messages the agent of a conversation works on."""
    requester_may_approve: bool = False
    """Whether those who asked for it may approve it."""
    signed: bool = False
    """Whether decisions need a signed token."""
    opened: datetime | None = None
    """When it opened, in workflow time (UTC)."""
    whole: bool = True
    """Whether `arguments` holds all of them; where it does not, an approval must name the digest."""
    size: int = 0
    """Size of all arguments as JSON, in bytes."""
    counts: tuple[str, ...] = ()
    """How much is in the arguments, as `to: 2 items`."""
    ref: str | None = None
    """Key of the whole arguments in the content store; None where they are inline."""
    repeats: bool = False
    """Whether an approval may stand for further calls of the tool in this run."""
    before: tuple[Produced, ...] = ()
    """What the steps before it produced."""
    report: str = ""
    """Address of the run's report; empty: no inbox is set (INBOX_URL)."""

    @property
    def askers(self) -> tuple[str, ...]:
        """All who asked for it."""
        return tuple({named(name): name for name in (self.requester, *self.asked_by) if name}.values())

    @property
    def approval_rule(self) -> str:
        """Who may not approve although anybody else may, in words; "" where nobody is barred."""
        barred = bool(self.askers) and not self.requester_may_approve
        return f"{' and '.join(self.askers)} asked for it, so somebody else has to approve" if barred else ""

    def bars(self, who: str) -> bool:
        """Whether somebody may not approve, because they asked for it."""
        return bool(self.approval_rule) and named(who) in map(named, self.askers)


class GatesShown(Contract):
    """What the memo of a run shows of its gates, readable without any worker."""

    waiting: tuple[GateView, ...] = ()
    """The waiting gates, at most 200; each is read from a memo field of its own."""
    records: int = 0
    """Count of records in the decision log."""
    head: str = ""
    """Hash of the last record of the decision log; empty where there is none."""
    turned_down: tuple[Summary, ...] = ()
    """The newest messages that changed nothing while these gates wait, and why."""
    more: int = 0
    """Count of the waiting gates beyond those in `waiting`."""
    standing: tuple[StandingApproval, ...] = ()
    """Approvals that cover further calls of their tools."""


class WaitingActions(Contract):
    """What waits at the gates of a run, whole; asked of a worker, because a memo holds only so much."""

    actions: Mapping[str, ProposedAction] = Field(default_factory=dict)
    """The proposed actions by the name of their gate."""


class GateNews(Contract):
    """A notification: a gate of a run opened, was edited, escalated or settled, or still waits."""

    workflow_id: str
    """Workflow id of the run."""
    kind: RecordKind
    """What happened; `reminded` where the gate still waits."""
    gate: GateView
    """The gate, as people see it."""
    outcome: GateOutcome = GateOutcome.PENDING
    """How it ended, or that it still waits."""
    to: tuple[str, ...] = ()
    """Names of those who are notified; empty: all channels."""
    head: str = ""
    """Last hash of the decision log, so that it is also noted outside."""
    by: tuple[str, ...] = ()
    """Names of those who settled the gate; empty where nobody did, or it still waits."""
    reason: Summary = ""
    """Why it was settled so, at most 200 characters; may be empty."""


class Decided(Contract):
    """What people decided in one run that holds for all runs of the same tree: those of its agents, above and below."""

    standing: tuple[StandingApproval, ...] = ()
    """Approvals that cover further calls, each with the run where it was given."""
    revoked: tuple[StandingApproval, ...] = ()
    """Those that were revoked."""
    denied: tuple[GateState, ...] = ()
    """Gates at which an action was denied."""

    @property
    def mark(self) -> str:
        """By which a run knows that another one knows no more than itself: the same in both; empty where nothing was decided."""
        given = [sorted([one.given_in, one.gate] for one in each) for each in (self.standing, self.revoked)]
        denied = sorted({gate.digest for gate in self.denied})
        return hashed({"given": given, "denied": denied})[:SHORT_DIGEST] if self != Decided() else ""


class WaitsBelow(Contract):
    """An agent that a run has asked, in a run of its own, and that waits for people there."""

    run: str
    """Workflow id of its run, where people decide."""
    agent: str
    """Name of the agent."""
    gates: tuple[GateView, ...] = ()
    """Gates that wait."""
    questions: tuple[str, ...] = ()
    """Questions that wait, each beginning with its id."""
    below: tuple["WaitsBelow", ...] = ()
    """Agents that it asked in turn, and that wait."""
    decided: str = ""
    """Mark of what people decided there (`Decided`): a hint to look, which itself decides nothing."""
