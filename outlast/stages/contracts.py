"""Hybrid: fixed stages given as data, sub-steps filled in by a model."""

from typing import Any

from pydantic import Field

from outlast.contracts import (
    NO_CHECKPOINT,
    ChangingResult,
    CheckpointPolicy,
    Content,
    Contract,
    RunRequest,
)


class Rubric(Contract):
    """By what a draft is judged."""

    criteria: tuple[str, ...] = Field(default=("correct", "complete", "clear"), min_length=1)
    """The criteria, in words; at least one."""
    good_enough: int = Field(default=80, ge=0, le=100)
    """Score from which on a draft is accepted, from 0 to 100."""
    rounds: int = Field(default=3, ge=1, le=10)
    """How many drafts are judged at most, from 1 to 10."""


class Stage(Contract):
    """One fixed stage; a model plans its sub-steps."""

    # The names of sub-steps are made of it and a dot in the middle, so it holds none.
    name: str = Field(pattern=r"^[^\s·][^·]*$", max_length=64)
    """Name of the stage, at most 64 characters; unique in its run."""
    goal: str = Field(min_length=1, max_length=20_000)
    """What the stage shall give, in words."""
    agents: tuple[str, ...] = ()
    """Who may be given sub-steps; empty means all agents."""
    max_steps: int = Field(default=4, ge=1, le=20)
    """How many sub-steps may be planned, from 1 to 20."""
    output_schema: dict[str, Any] | None = None
    """JSON schema of an object that the output shall fit; None: text."""
    rubric: Rubric | None = None
    """Makes it a review stage: `reviewer` judges the output of the stage before, or this stage's own draft."""
    reviewer: str = "reviewer"
    """Name of the agent that judges; only used with a rubric."""
    attempts: int = Field(default=2, ge=1, le=5)
    """How often a failed stage is tried before the run ends, from 1 to 5."""


class StageOutput(Contract):
    """What a stage gave."""

    stage: str
    """Name of the stage."""
    content: Content
    """Its text."""
    data: Content | None = None
    """Its output as a JSON object, where the stage has a schema."""
    score: int | None = None
    """Score of the draft that was kept, from 0 to 100; None: not reviewed, or it could not be judged."""
    steps: int = 0
    """Count of the steps that are part of it."""
    rounds: int = 0
    """Count of the drafts that were judged."""
    attempts: int = 1
    """How often the stage was tried."""
    notes: tuple[str, ...] = ()
    """What happened on the way that people should know."""


class StagedRequest(RunRequest):
    """A task and the stages it goes through."""

    task: str = Field(min_length=1, max_length=200_000)
    """What shall be done, in words."""
    stages: tuple[Stage, ...] = Field(default=(), max_length=50)
    """The stages, in order; empty: the default ones."""
    planner: str = "planner"
    """Name of the agent that plans sub-steps."""
    max_parallel: int = Field(default=8, ge=1, le=200)
    """How many steps run at once."""
    done: tuple[StageOutput, ...] = ()
    """Outputs of an earlier run, from the first stage on and in order: those stages are not run again."""
    checkpoint: CheckpointPolicy = NO_CHECKPOINT
    """Where the run stops for people."""


class StagedResult(ChangingResult):
    """What the stages gave.

    The state is `partial` where all stages gave an output although a step failed on the way, for instance a review.
    """

    stages: tuple[StageOutput, ...]
    """Outputs in the order of the stages."""
    report: Content
    """The step trace of the run, in the content store."""
    failed: str = ""
    """Name of the stage that ended the run early; empty: none did."""
    stopped: str = ""
    """At which checkpoint, by whom and why the run was ended; empty: it was not."""
    next_stage: str = ""
    """Name of the stage before which it was ended; empty where it was not."""
    edited: tuple[Stage, ...] = ()
    """All its stages if people changed any; empty otherwise."""


class StagedProgress(Contract):
    """How far a run is; a later run can go on from there."""

    done: tuple[StageOutput, ...] = ()
    """The outputs so far, in order."""
    stage: str = ""
    """Name of the stage that is running; empty: none is."""
    edited: tuple[Stage, ...] = ()
    """All stages if people changed any; empty otherwise."""
