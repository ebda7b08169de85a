"""What callers send to workflows and read back: plans, requests, results, status and trace.

The trap is the same as in `activities.contracts`: these models live in histories of running executions, so fields are
added with a default and never renamed.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from activities.contracts import Content, Contract, DocumentSource, Summary

MAX_STEPS = 100
MAX_PARALLEL = 32


class StepState(StrEnum):
    """Where a step is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class RunState(StrEnum):
    """Where a run is; `partial` means that it ended with answers although steps failed."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"


class Spend(Contract):
    """What model calls cost so far: tokens by tier and USD, failed and repeated calls included."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usd: float = 0.0

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


class CallTrace(Contract):
    """One model call in the step trace; `started` is workflow time in UTC, `ms` from scheduling to result."""

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


class Trace(Contract):
    """All calls of a run, in the order in which they ended."""

    calls: tuple[CallTrace, ...] = ()


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


class RunStatus(Contract):
    """What the `status` query answers; `notices` lists messages that could not be understood."""

    workflow_id: str
    pattern: str
    state: RunState
    steps: tuple[StepRow, ...] = ()
    spend: Spend = Spend()
    notices: tuple[str, ...] = ()


def _as_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StepId = Annotated[str, BeforeValidator(_as_id), Field(min_length=1, max_length=64)]


class PlanStep(Contract):
    """One step of a plan; ids may be numbers or strings."""

    step: StepId
    agent: str
    input: str
    depends_on: tuple[StepId, ...] = ()


class Plan(Contract):
    """Steps that form a directed acyclic graph through `depends_on`."""

    steps: tuple[PlanStep, ...]


class OnStepFailure(StrEnum):
    """What a failed step does to the rest of the plan."""

    SKIP_DEPENDENTS = "skip_dependents"
    FAIL_FAST = "fail_fast"
    REPLAN = "replan"


class PlanRequest(Contract):
    """A task to plan and execute, or a person's own plan to execute as it stands.

    `agents` narrows whom the planner may use (empty: all). `fallback_plan` runs where the planner gives no valid plan;
    by default that is one step for `fallback_agent`.
    """

    task: str = Field(default="", max_length=200_000)
    plan: Plan | None = None
    agents: tuple[str, ...] = ()
    planner: str = "planner"
    fallback_agent: str = "generalist"
    fallback_plan: Plan | None = None
    max_steps: int = Field(default=MAX_STEPS, ge=1, le=500)
    max_parallel: int = Field(default=MAX_PARALLEL, ge=1, le=200)
    on_step_failure: OnStepFailure = OnStepFailure.SKIP_DEPENDENTS
    dry_run: bool = False


class PlanChange(Contract):
    """One change made to a plan before it ran: by which stage, and what."""

    stage: Literal["deterministic", "planner", "fallback", "replan"]
    change: str


class PlanShape(Contract):
    """How a plan will run: its longest chain of steps, and what can run at the same time."""

    critical_path: tuple[str, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()


class StepAnswer(Contract):
    """What a last step of a plan gave."""

    step: str
    content: Content


class PlanReport(Contract):
    """The whole record of a plan's run, kept in the content store: plan as run, outcomes, repairs, trace."""

    task: str = ""
    plan: Plan
    shape: PlanShape = PlanShape()
    steps: tuple[StepRow, ...] = ()
    changes: tuple[PlanChange, ...] = ()
    trace: Trace = Trace()


class PlanResult(Contract):
    """What a plan's run gives: the answers of its last steps, its cost, and the reference of its full report.

    The report is by reference, because a copy of every step in the result would double the history of the run.
    """

    state: RunState
    report: Content
    answers: tuple[StepAnswer, ...] = ()
    done: int = 0
    failed: int = 0
    skipped: int = 0
    changes: int = 0
    spend: Spend = Spend()


class DocumentType(StrEnum):
    """The kinds of document that have a specialist; what fits none is general."""

    LEGAL = "legal"
    FINANCIAL = "financial"
    GENERAL = "general"


class DocumentAnalysisRequest(Contract):
    """Files to analyse, each on its own."""

    documents: tuple[DocumentSource, ...] = Field(min_length=1)
    max_parallel: int = Field(default=4, ge=1, le=100)


class DocumentOutcome(Contract):
    """What became of one document: its type, analysis and summary, or the error that ended it.

    `parts` is in how many pieces it was worked on, `seconds` from its start to its end.
    """

    name: str
    type: DocumentType | None = None
    analysis: Content | None = None
    summary: Content | None = None
    parts: int = 0
    pages: int | None = None
    seconds: float = 0.0
    error_kind: str = ""
    error: str = ""
    notes: tuple[str, ...] = ()


class DocumentReport(Contract):
    """The step trace of a document run, kept in the content store."""

    steps: tuple[StepRow, ...] = ()
    trace: Trace = Trace()


class DocumentAnalysisResult(Contract):
    """Outcomes in the order of the request, what they cost, and the reference of the step trace."""

    state: RunState
    documents: tuple[DocumentOutcome, ...]
    report: Content
    spend: Spend = Spend()
