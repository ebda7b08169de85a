"""Hybrid: fixed stages given as data, sub-steps filled in by a model."""

from typing import Any

from pydantic import Field

from outlast.contracts import (
    KEEP,
    NO_CHECKPOINT,
    Budget,
    BudgetShown,
    Changes,
    CheckpointPolicy,
    Content,
    Contract,
    OnFallback,
    RollbackPolicy,
    RunState,
    Spend,
    StartRequest,
)


class Rubric(Contract):
    """By what a draft is judged: criteria in words, the score (0 to 100) that is good enough, and how many rounds at most."""

    criteria: tuple[str, ...] = Field(default=("correct", "complete", "clear"), min_length=1)
    good_enough: int = Field(default=80, ge=0, le=100)
    rounds: int = Field(default=3, ge=1, le=10)


class Stage(Contract):
    """One fixed stage: what it shall give, by which agents, in at most `max_steps` sub-steps that a model plans.

    `output_schema` types the output (JSON schema of an object); `rubric` makes it a review stage, in which the stage's
    first agent writes and `reviewer` judges: the output of the stage before it, or, as the first stage or with a schema,
    what it wrote itself. A failed stage is tried `attempts` times before the run ends.
    """

    # The names of sub-steps are made of it and a dot in the middle, so it holds none.
    name: str = Field(pattern=r"^[^\s·][^·]*$", max_length=64)
    goal: str = Field(min_length=1, max_length=20_000)
    agents: tuple[str, ...] = ()
    max_steps: int = Field(default=4, ge=1, le=20)
    output_schema: dict[str, Any] | None = None
    rubric: Rubric | None = None
    reviewer: str = "reviewer"
    attempts: int = Field(default=2, ge=1, le=5)


class StageOutput(Contract):
    """What a stage gave: its text, `data` where the stage has a schema, `score` where it was reviewed.

    `data` refers to a JSON object; `steps` counts the steps that are part of it, `rounds` the drafts that were judged.
    """

    stage: str
    content: Content
    data: Content | None = None
    score: int | None = None
    steps: int = 0
    rounds: int = 0
    attempts: int = 1
    notes: tuple[str, ...] = ()


class StagedRequest(StartRequest):
    """A task and the stages it goes through (none: the default ones); stages in `done` are taken over, not run again.

    `done` holds outputs of an earlier run, from the first stage on and in order. `on_failure` says how
    far to roll back what tools changed when the run fails.
    `on_fallback` says what an agent that failed leaves to its fallback.
    With `stream` its calls publish what the models write, which puts those texts into its history.
    """

    task: str = Field(min_length=1, max_length=200_000)
    stages: tuple[Stage, ...] = Field(default=(), max_length=50)
    planner: str = "planner"
    max_parallel: int = Field(default=8, ge=1, le=200)
    done: tuple[StageOutput, ...] = ()
    checkpoint: CheckpointPolicy = NO_CHECKPOINT
    budget: Budget | None = None
    stream: bool = False
    on_failure: RollbackPolicy = KEEP
    requester: str = ""
    """Who asked for the run: by default they may not approve what it proposes."""
    on_fallback: OnFallback = OnFallback.TELL


class StagedResult(Contract):
    """Outputs in the order of the stages; `failed` names the stage that ended the run early.

    `partial` means that all stages gave an output, although a step failed on the way, for instance a review. `stopped` says
    at which checkpoint, by whom and why the run was ended before stage `next_stage`. `edited` are all its stages if people
    changed any.
    """

    state: RunState
    stages: tuple[StageOutput, ...]
    report: Content
    failed: str = ""
    spend: Spend = Spend()
    stopped: str = ""
    next_stage: str = ""
    budget: BudgetShown | None = None
    tools_missing: tuple[str, ...] = ()
    changes: Changes = Changes()
    edited: tuple[Stage, ...] = ()


class StagedProgress(Contract):
    """How far a run is: the outputs so far, in order, and the stage at work; a later run can go on from there.

    `edited` are all stages if people changed any.
    """

    done: tuple[StageOutput, ...] = ()
    stage: str = ""
    edited: tuple[Stage, ...] = ()
