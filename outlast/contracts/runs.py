"""What every run shows of itself: steps, calls, spend and state."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from outlast.contracts.base import Content, Contract, Summary
from outlast.contracts.gates import GatePolicy, GateView
from outlast.contracts.steering import Pause


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
    """What model calls cost so far: tokens by tier and USD, failed and repeated calls included."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usd: float = 0.0

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
    """How a run stands with its budget: its limits as they are now, and what was spent and is reserved for calls at work.

    `raised` counts how often people raised it, `warnings` say what they should know, `stopped` why it ended the run.
    """

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None
    spent: Spend = Spend()
    reserved: Spend = Spend()
    raised: int = 0
    warnings: tuple[str, ...] = ()
    stopped: str = ""

    @property
    def line(self) -> str:
        """What is spent of each limit, in one line."""
        parts = [] if self.usd is None else [f"${self.spent.usd:.4f} of ${self.usd:.4f}"]
        parts += [] if self.tokens is None else [f"{self.spent.tokens} of {self.tokens} tokens"]
        parts += [] if self.calls is None else [f"{self.spent.calls} of {self.calls} calls"]
        parts += [f"raised {self.raised} times" if self.raised > 1 else "raised once"] if self.raised else []
        return " · ".join(parts)


class CallTrace(Contract):
    """One model or tool call (`tool`) in the step trace; `started` is workflow time in UTC, `ms` from scheduling to result."""

    workflow_id: str
    step: str
    agent: str
    model: str
    started: datetime
    ms: int
    success: bool
    attempt: int = 1
    input: Summary = ""
    output: Summary = ""
    spend: Spend = Spend()
    error: str = ""
    request_id: str = ""
    tool: str = ""


class Trace(Contract):
    """All calls of a run, in the order in which they ended, and how it stands with its budget."""

    calls: tuple[CallTrace, ...] = ()
    budget: BudgetShown | None = None


class StepRow(Contract):
    """A step as people see it; `note` says why it failed, was skipped or went another way."""

    step: str
    agent: str = ""
    input: Summary = ""
    depends_on: tuple[str, ...] = ()
    state: StepState = StepState.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    output: Content | None = None
    note: str = ""


class FallbackTaken(Contract):
    """One fallback that was taken: from which agent to which, at which step, and why."""

    step: str
    origin: str
    target: str
    reason: Summary = ""


class Question(Contract):
    """Something a run asks a person, open until `deadline` (UTC); `id` names it in the answer."""

    id: str
    text: Summary
    deadline: datetime


class RunStatus(Contract):
    """What the `status` query answers; `notices` lists messages that changed nothing, `gates` those that wait for people.

    `rollback` counts what became of the changes, where they were rolled back. `tools_missing` are tools that agents name and
    lack, with the reason, `tools_changed` those that are otherwise than their servers have them.
    """

    workflow_id: str
    pattern: str
    state: RunState
    steps: tuple[StepRow, ...] = ()
    spend: Spend = Spend()
    notices: tuple[str, ...] = ()
    hops: tuple[FallbackTaken, ...] = ()
    """Fallbacks taken, in order."""
    questions: tuple[Question, ...] = ()
    rollback: str = ""
    gates: tuple[GateView, ...] = ()
    paused: Pause | None = None
    budget: BudgetShown | None = None
    tools_missing: tuple[str, ...] = ()
    tools_changed: tuple[str, ...] = ()


class RunReport(Contract):
    """The step trace of a run, kept in the content store."""

    steps: tuple[StepRow, ...] = ()
    trace: Trace = Trace()
    hops: tuple[FallbackTaken, ...] = ()


BUDGET_GATE = GatePolicy(edit_needs_another_approver=False)
"""A person who raises a budget by another amount than proposed may also approve it."""


class Budget(Contract):
    """Limits of one run, each one hard: USD, tokens of all tiers together, and model calls; None means no limit.

    From the share `soft` of a limit on, the run warns, and takes a cheaper model where an agent names one. `gate` says who
    may raise the budget once it is used up, and how long they are waited for.
    """

    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokens: int | None = Field(default=None, ge=1)
    calls: int | None = Field(default=None, ge=1)
    soft: float = Field(default=0.8, gt=0, le=1)
    gate: GatePolicy = BUDGET_GATE

    @property
    def limited(self) -> bool:
        """Whether it limits anything."""
        return self.usd is not None or self.tokens is not None or self.calls is not None
