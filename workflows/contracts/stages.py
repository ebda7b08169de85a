"""Hybrid: fixed stages given as data, sub-steps filled in by a model."""

from typing import Any

from pydantic import Field

from activities.contracts import Content, Contract
from workflows.contracts.runs import RunState, Spend


class Rubric(Contract):
    """By what a draft is judged: criteria in words, the score (0 to 100) that is good enough, and how many rounds at most."""

    criteria: tuple[str, ...] = ("correct", "complete", "clear")
    good_enough: int = Field(default=80, ge=0, le=100)
    rounds: int = Field(default=3, ge=1, le=10)


class Stage(Contract):
    """One fixed stage: what it shall give, by which agents, in at most `max_steps` sub-steps that a model plans.

    `output_schema` types the output (JSON schema of an object); `rubric` makes it a review stage, in which the stage's
    agent writes and `reviewer` judges. A failed stage is tried `attempts` times before the run ends.
    """

    name: str = Field(min_length=1, max_length=64)
    goal: str = Field(min_length=1)
    agents: tuple[str, ...] = ()
    max_steps: int = Field(default=4, ge=1, le=20)
    output_schema: dict[str, Any] | None = None
    rubric: Rubric | None = None
    reviewer: str = "reviewer"
    attempts: int = Field(default=2, ge=1, le=5)


class StageOutput(Contract):
    """What a stage gave: its text, `data` where the stage has a schema, `score` where it was reviewed."""

    stage: str
    content: Content
    data: Content | None = None
    score: int | None = None
    steps: int = 0
    rounds: int = 0
    attempts: int = 1
    notes: tuple[str, ...] = ()


class StagedRequest(Contract):
    """A task and the stages it goes through (none: the default ones); stages in `done` are taken over, not run again."""

    task: str = Field(min_length=1, max_length=200_000)
    stages: tuple[Stage, ...] = ()
    planner: str = "planner"
    max_parallel: int = Field(default=8, ge=1, le=200)
    done: tuple[StageOutput, ...] = ()


class StagedResult(Contract):
    """Outputs in the order of the stages; `failed` names the stage that ended the run early."""

    state: RunState
    stages: tuple[StageOutput, ...]
    report: Content
    failed: str = ""
    spend: Spend = Spend()
