"""Plans: what a planner or a person writes, and what running one gives."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from outlast.contracts.base import Content, Contract
from outlast.contracts.changes import Changes
from outlast.contracts.requests import RunRequest, RunResult
from outlast.contracts.runs import StepRow, Trace
from outlast.contracts.steering import NO_CHECKPOINT, CheckpointPolicy

MAX_STEPS = 100


MAX_PARALLEL = 32


def _as_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StepId = Annotated[str, BeforeValidator(_as_id), Field(min_length=1, max_length=64)]


class PlanStep(Contract):
    """One step of a plan; ids may be numbers or strings. With `confirm` a person must approve it before it starts."""

    step: StepId
    agent: str
    input: str
    depends_on: tuple[StepId, ...] = ()
    confirm: bool = False


class Plan(Contract):
    """Steps that form a directed acyclic graph through `depends_on`."""

    steps: tuple[PlanStep, ...]


class OnStepFailure(StrEnum):
    """What a failed step does to the rest of the plan."""

    SKIP_DEPENDENTS = "skip_dependents"
    FAIL_FAST = "fail_fast"
    REPLAN = "replan"


class PlanRequest(RunRequest):
    """A task to plan and execute, or a person's own plan to execute as it stands.

    `on_failure` also holds for a run that ends with a failed step; each step that is done is a checkpoint of its name.
    """

    task: str = Field(default="", max_length=200_000)
    """What shall be done; may be left out where there is a plan."""
    plan: Plan | None = None
    """A person's own plan, which no model rewrites."""
    agents: tuple[str, ...] = ()
    """Whom the planner may give steps to; none named means all."""
    planner: str = "planner"
    """The agent that plans."""
    fallback_agent: str = "generalist"
    """Who does the whole task in one step where no valid plan was made."""
    fallback_plan: Plan | None = None
    """What runs in that case instead of the one step."""
    max_steps: int = Field(default=MAX_STEPS, ge=1, le=500)
    """How many steps a plan may have."""
    max_parallel: int = Field(default=MAX_PARALLEL, ge=1, le=200)
    """How many steps run at once."""
    on_step_failure: OnStepFailure = OnStepFailure.SKIP_DEPENDENTS
    """What a failed step does to the rest of the plan."""
    dry_run: bool = False
    """Whether the plan is only made and checked."""
    checkpoint: CheckpointPolicy = NO_CHECKPOINT
    """Where the run stops for people."""
    result_schema: dict[str, Any] | None = None
    """JSON schema of an object that the result shall fit; it is then found in `data`, in JSON."""


class PlanChange(Contract):
    """One change made to a plan before it ran: by which stage, and what."""

    stage: Literal["deterministic", "planner", "fallback", "replan", "checkpoint"]
    change: str


class PlanShape(Contract):
    """How a plan will run: its longest chain of steps, and what can run at the same time."""

    critical_path: tuple[str, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()


class StepAnswer(Contract):
    """What a last step of a plan gave."""

    step: str
    content: Content
    data: Content | None = None
    """The answer in JSON, where the request gave a `result_schema`."""


class PlanReport(Contract):
    """The whole record of a plan's run, kept in the content store: plan as run, outcomes, repairs, trace.

    `changes` are those made to the plan, `rollback` those made by tools and what became of them.
    """

    task: str = ""
    plan: Plan
    shape: PlanShape = PlanShape()
    steps: tuple[StepRow, ...] = ()
    changes: tuple[PlanChange, ...] = ()
    trace: Trace = Trace()
    rollback: Changes = Changes()


class PlanResult(RunResult):
    """What a plan's run gives: the answers of its last steps, its cost, and the reference of its full report.

    The report is by reference, because a copy of every step in the result would double the history of the run. `rollback`
    counts what became of the tools' changes, in words (empty: nothing was rolled back); the report lists them. `stopped` says
    at which checkpoint, by whom and why the run was ended early; the answers are then those of the last steps that are done.
    """

    report: Content
    answers: tuple[StepAnswer, ...] = ()
    done: int = 0
    failed: int = 0
    skipped: int = 0
    changes: int = 0
    rollback: str = ""
    stopped: str = ""
