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


class StagedRequest(RunRequest):
    """A task and the stages it goes through (none: the default ones); stages in `done` are taken over, not run again.

    `done` holds outputs of an earlier run, from the first stage on and in order.
    """

    task: str = Field(min_length=1, max_length=200_000)
    stages: tuple[Stage, ...] = Field(default=(), max_length=50)
    planner: str = "planner"
    max_parallel: int = Field(default=8, ge=1, le=200)
    done: tuple[StageOutput, ...] = ()
    checkpoint: CheckpointPolicy = NO_CHECKPOINT


class StagedResult(ChangingResult):
    """Outputs in the order of the stages; `failed` names the stage that ended the run early.

    `partial` means that all stages gave an output, although a step failed on the way, for instance a review. `stopped` says
    at which checkpoint, by whom and why the run was ended before stage `next_stage`. `edited` are all its stages if people
    changed any.
    """

    stages: tuple[StageOutput, ...]
    report: Content
    failed: str = ""
    stopped: str = ""
    next_stage: str = ""
    edited: tuple[Stage, ...] = ()


class StagedProgress(Contract):
    """How far a run is: the outputs so far, in order, and the stage at work; a later run can go on from there.

    `edited` are all stages if people changed any.
    """

    done: tuple[StageOutput, ...] = ()
    stage: str = ""
    edited: tuple[Stage, ...] = ()
