"""What every run shows of itself: steps, calls, spend and state."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from outlast.contracts.base import Content, Contract, Summary
from outlast.contracts.gate_views import GateView, WaitsBelow
from outlast.contracts.gates import StandingApproval
from outlast.contracts.steering import GatePolicy, Pause


class StepState(StrEnum):
    """Where a step is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunState(StrEnum):
    """Where a run is; `stopped` means that it was ended at a checkpoint.

    `partial` means that it ended with answers although steps failed, or an agent went without a tool that its file names: the
    results of all workflows list those as `tools_missing`.
    """

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Spend(Contract):
    """What model calls cost so far, failed and repeated calls included."""

    calls: int = 0
    """Count of model calls."""
    input_tokens: int = 0
    """Input tokens that no cache served."""
    output_tokens: int = 0
    """Tokens that models wrote."""
    cache_read_tokens: int = 0
    """Input tokens that were read from the provider's cache."""
    cache_write_tokens: int = 0
    """Input tokens that were written to the provider's cache."""
    usd: float = 0.0
    """Cost in USD, by the price table."""

    @property
    def tokens(self) -> int:
        """All tokens together."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def plus(self, other: "Spend") -> "Spend":
        """Add two spends."""
        return Spend(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            usd=round(self.usd + other.usd, 6),
        )


class BudgetShown(Contract):
    """How a run stands with its budget."""

    usd: float | None = None
    """Limit in USD, as it is now; None: no limit."""
    tokens: int | None = None
    """Limit in tokens of all tiers together, as it is now; None: no limit."""
    calls: int | None = None
    """Limit in model calls, as it is now; None: no limit."""
    spent: Spend = Spend()
    """What was spent so far."""
    reserved: Spend = Spend()
    """What is reserved for calls that are running."""
    raised: int = 0
    """How often people raised it."""
    warnings: tuple[str, ...] = ()
    """What people should know about it, in words."""
    stopped: str = ""
    """Why it ended the run; empty: it did not."""

    @property
    def line(self) -> str:
        """What is spent of each limit, in one line."""
        parts = [] if self.usd is None else [f"${self.spent.usd:.4f} of ${self.usd:.4f}"]
        parts += [] if self.tokens is None else [f"{self.spent.tokens} of {self.tokens} tokens"]
        parts += [] if self.calls is None else [f"{self.spent.calls} of {self.calls} calls"]
        parts += [f"raised {self.raised} times" if self.raised > 1 else "raised once"] if self.raised else []
        return " · ".join(parts)


class CallTrace(Contract):
    """One model or tool call in the step trace."""

    workflow_id: str
    """Workflow id of the run that made the call."""
    step: str
    """Step of the run that made the call."""
    agent: str
    """Name of the agent that made it."""
    model: str
    """Name of the model; empty for a tool call."""
    started: datetime
    """When it was scheduled, in workflow time (UTC)."""
    ms: int
    """Time from scheduling to result, in milliseconds."""
    success: bool
    """Whether it gave a result."""
    attempt: int = 1
    """Which attempt ended it, from 1 on."""
    input: Summary = ""
    """Beginning of what was asked, at most 200 characters."""
    output: Summary = ""
    """Beginning of what came back, at most 200 characters."""
    spend: Spend = Spend()
    """What it cost."""
    error: str = ""
    """Why it failed; empty where it succeeded."""
    request_id: str = ""
    """The provider's id of the request, for their support; empty where there was none."""
    tool: str = ""
    """Name of the tool; empty for a model call."""
    approved: Summary = ""
    """By whose approval the tool was called, in words; empty: it needed none."""


class Trace(Contract):
    """All calls of a run, and how it stands with its budget."""

    calls: tuple[CallTrace, ...] = ()
    """The calls, in the order in which they ended."""
    budget: BudgetShown | None = None
    """Limits, and what was spent of them; None where the run has no budget."""
    earlier: tuple[str, ...] = ()
    """Keys in the content store of the traces of earlier parts, oldest first, where the run has continued as new."""


class StepRow(Contract):
    """A step as people see it."""

    step: str
    """Id or name of the step, unique in its run."""
    agent: str = ""
    """Name of the agent that does it; empty where none is chosen."""
    input: Summary = ""
    """Beginning of what the agent shall do, at most 200 characters."""
    depends_on: tuple[str, ...] = ()
    """Ids of the steps that must be done first."""
    state: StepState = StepState.PENDING
    """Where the step is."""
    started: datetime | None = None
    """When it started, in workflow time (UTC); None: not yet."""
    ended: datetime | None = None
    """When it ended, in workflow time (UTC); None: not yet."""
    output: Content | None = None
    """What it gave; None where it gave nothing."""
    note: str = ""
    """Why it failed, was skipped or went another way; empty: nothing to report."""
    within: str = ""
    """Step whose agent asked for this one; empty: no agent did."""
    run: str = ""
    """Workflow id of the run that does it; empty: this run does."""


class ArchivedPart(Contract):
    """The steps that were done in one part of a run that has continued as new, kept in the content store."""

    ref: str
    """Key of them (`StepOutcomes`) in the content store."""
    steps: tuple[str, ...]
    """Their ids or names, as people see them."""


class FallbackTaken(Contract):
    """One fallback that was taken."""

    step: str
    """Step at which it happened."""
    origin: str
    """Name of the agent that failed."""
    target: str
    """Who was asked instead: an agent, `person`, or a fixed text."""
    reason: Summary = ""
    """Why the agent failed, at most 200 characters."""
    handoff: bool = False
    """Whether the agent did not fail, but handed the conversation over."""


QUESTION_MEMO = "question: "
"""Begins the names of memo fields, one for each question that is open: so it is found without a worker."""


class Question(Contract):
    """Something a run asks a person."""

    id: str
    """Names the question in the answer."""
    text: Summary
    """The question, at most 200 characters."""
    full: str = ""
    """The question in full, where `text` is only its beginning."""
    deadline: datetime | None = None
    """Until when it is open (UTC); None: until it is answered."""
    options: tuple[str, ...] = ()
    """The answers to choose from; empty: any text."""
    form: dict[str, Any] | None = None
    """JSON schema of the object that answers it; None: a text does."""


class RunStatus(Contract):
    """What the `status` query answers."""

    workflow_id: str
    """Workflow id of the run."""
    pattern: str
    """Name of the kind of workflow: `plan`, `consensus` …"""
    state: RunState
    """Where the run is."""
    steps: tuple[StepRow, ...] = ()
    """Its steps, in the order in which people see them."""
    spend: Spend = Spend()
    """What its model calls cost so far."""
    notices: tuple[str, ...] = ()
    """Messages that changed nothing, and why."""
    hops: tuple[FallbackTaken, ...] = ()
    """Fallbacks taken, in order."""
    questions: tuple[Question, ...] = ()
    """Questions that wait for a person."""
    rollback: str = ""
    """What became of the tools' changes, counted in words; empty: nothing was rolled back."""
    gates: tuple[GateView, ...] = ()
    """Gates that wait for people."""
    paused: Pause | None = None
    """Who paused it; None: it is not paused."""
    budget: BudgetShown | None = None
    """How it stands with its budget; None where it has none."""
    standing: tuple[StandingApproval, ...] = ()
    """Approvals that cover further calls of their tools in this run."""
    tools_missing: tuple[str, ...] = ()
    """Tools that its agents name and lack, with the reason."""
    tools_changed: tuple[str, ...] = ()
    """Tools that are otherwise than their servers have them."""
    forked: str = ""
    """From which run it was forked, and from where on, in words; empty: it was not."""
    below: tuple[WaitsBelow, ...] = ()
    """Agents that it asked, each in a run of its own, that wait for people."""
    earlier: tuple[str, ...] = ()
    """Keys in the content store of steps of earlier parts (`StepOutcomes`), of which `steps` lacks times and output."""
    left_out: int = 0
    """How many steps are missing, because the answer would be too large; the `steps` query gives all, page by page."""


class RunReport(Contract):
    """The step trace of a run, kept in the content store."""

    steps: tuple[StepRow, ...] = ()
    """The steps, with their outcomes."""
    trace: Trace = Trace()
    """All calls of the run."""
    hops: tuple[FallbackTaken, ...] = ()
    """Fallbacks taken, in order."""


BUDGET_GATE = GatePolicy(edit_needs_another_approver=False)
"""A person who raises a budget by another amount than proposed may also approve it."""


class Budget(Contract):
    """Limits of one run, each one hard."""

    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Limit in USD, more than 0; None: no limit."""
    tokens: int | None = Field(default=None, ge=1)
    """Limit in tokens of all tiers together; None: no limit."""
    calls: int | None = Field(default=None, ge=1)
    """Limit in model calls; None: no limit."""
    soft: float = Field(default=0.8, gt=0, le=1)
    """Share of a limit (0 to 1) from which on the run warns, and asks cheaper models where agents name one."""
    gate: GatePolicy = BUDGET_GATE
    """Who may raise the budget once it is used up, and how long they are waited for."""

    @property
    def limited(self) -> bool:
        """Whether it limits anything."""
        return self.usd is not None or self.tokens is not None or self.calls is not None
