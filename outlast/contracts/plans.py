"""Plans: what a planner or a person writes, and what running one gives."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from outlast.contracts.base import Content, Contract
from outlast.contracts.changes import Changes
from outlast.contracts.requests import RunRequest, RunResult
from outlast.contracts.runs import StepRow, Trace
from outlast.contracts.steering import NO_CHECKPOINT, CheckpointPolicy, GatePolicy

MAX_STEPS = 5000
"""Steps of a plan that a person gives; as a request it must fit into one message."""
PLANNED_STEPS = 100
"""Steps that a planner may write, unless the request says otherwise: a model that writes more loses its thread."""
MAX_PARALLEL = 32


def _as_id(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StepId = Annotated[str, BeforeValidator(_as_id), Field(min_length=1, max_length=64)]


class PlanStep(Contract):
    """One step of a plan."""

    step: StepId
    """Id of the step, unique in its plan: text or a number, at most 64 characters."""
    agent: str
    """Name of the agent that does it."""
    input: str
    """What the agent shall do, in words."""
    depends_on: tuple[StepId, ...] = ()
    """Ids of the steps that must be done first, and whose answers it is given."""
    confirm: bool = False
    """Whether a person must approve the step before it starts."""
    gate: GatePolicy | None = None
    """Who must approve it and until when, where that differs from the run's gates; counts in a person's own plan alone."""


class Plan(Contract):
    """Steps that form a directed acyclic graph through `depends_on`."""

    steps: tuple[PlanStep, ...]
    """The steps in any order: `depends_on` decides when each runs."""


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
    kept_plan: Content | None = None
    """The same in the content store, as JSON: for a plan that is too long for a message."""
    agents: tuple[str, ...] = ()
    """Whom the planner may give steps to; none named means all."""
    planner: str = "planner"
    """The agent that plans."""
    fallback_agent: str = "generalist"
    """Who does the whole task in one step where no valid plan was made."""
    fallback_plan: Plan | None = None
    """What runs in that case instead of the one step."""
    max_steps: int = Field(default=PLANNED_STEPS, ge=1, le=500)
    """How many steps the planner may write; a plan of one's own may have 5,000."""
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
    """One change made to a plan."""

    stage: Literal["deterministic", "planner", "fallback", "replan", "checkpoint"]
    """When it was made: `checkpoint` means by people, `deterministic` by a fixed repair."""
    change: str
    """What was changed, in words."""


class PlanShape(Contract):
    """How a plan will run."""

    critical_path: tuple[str, ...] = ()
    """Ids of the longest chain of steps, in order."""
    waves: tuple[tuple[str, ...], ...] = ()
    """Ids of the steps that can run at the same time, wave after wave."""


class StepAnswer(Contract):
    """What a last step of a plan gave."""

    step: str
    """Id of the step."""
    content: Content
    """The answer as text."""
    data: Content | None = None
    """The answer in JSON, where the request gave a `result_schema`."""


class PlanReport(Contract):
    """The whole record of a plan's run, kept in the content store."""

    task: str = ""
    """What should be done; empty where a person gave the plan alone."""
    plan: Plan
    """The plan as it ran."""
    shape: PlanShape = PlanShape()
    """Its longest chain, and what ran at the same time."""
    steps: tuple[StepRow, ...] = ()
    """The steps as people see them, with their outcomes."""
    changes: tuple[PlanChange, ...] = ()
    """Changes made to the plan, in order."""
    trace: Trace = Trace()
    """All calls of the run."""
    rollback: Changes = Changes()
    """Changes made by tools, and what became of them."""


class PlanResult(RunResult):
    """What a plan's run gives.

    The report is by reference, because a copy of every step in the result would double the history of the run.
    """

    report: Content
    """The full report (`PlanReport`), in the content store."""
    answers: tuple[StepAnswer, ...] = ()
    """Answers of the last steps of the plan; of those that are done, where the run was `stopped`."""
    done: int = 0
    """Count of steps that are done."""
    failed: int = 0
    """Count of steps that failed."""
    skipped: int = 0
    """Count of steps that were skipped."""
    changes: int = 0
    """Count of changes made to the plan."""
    rollback: str = ""
    """What became of the tools' changes, counted in words; empty: nothing was rolled back. The report lists them."""
    stopped: str = ""
    """At which checkpoint, by whom and why the run was ended early; empty: it was not."""
