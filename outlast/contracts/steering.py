"""How people steer a running workflow: pauses and checkpoints.

A checkpoint without a decision is never an approval: by default it stops the run after 300 s and keeps what
is done.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import model_validator

from outlast.contracts.base import Contract, Summary
from outlast.contracts.gates import GatePolicy


class CheckpointWhen(StrEnum):
    """Where a run stops for people."""

    NONE = "none"
    AFTER_PLAN = "after-plan"
    """Once a plan is made, before its first step; in a staged delivery, once a model has planned a stage."""
    EVERY_STAGE = "every-stage"
    """After each stage but the last."""
    STEPS = "steps"
    """Once one of `steps` has ended and the steps beside it have, too."""


FORMS = "write after-plan, every-stage, or steps=3,5"
ALONE = GatePolicy(edit_needs_another_approver=False)


class CheckpointPolicy(Contract):
    """Where a run stops for people, and by which gate; the texts `after-plan`, `every-stage` and `steps=3,5` are read
    as well."""

    when: CheckpointWhen = CheckpointWhen.NONE
    """At which points it stops."""
    steps: tuple[str, ...] = ()
    """Ids of the plan's steps to stop after; only for `steps`, and empty otherwise."""
    gate: GatePolicy = ALONE
    """Who may decide, and until when; by default editing the remaining steps approves them at the same time."""

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        when, equals, listed = data.strip().partition("=")
        if when not in tuple(CheckpointWhen) or bool(equals) is not (when == CheckpointWhen.STEPS):
            raise ValueError(f"{data!r} is not a checkpoint; {FORMS}")
        names = [name for name in re.split(r"\s*,\s*", listed.strip()) if name]
        return {"when": when, "steps": tuple(dict.fromkeys(names))}

    @model_validator(mode="after")
    def _steps_where_needed(self) -> "CheckpointPolicy":
        if self.when is CheckpointWhen.STEPS and not self.steps:
            raise ValueError(f"steps: none is named; {FORMS}")
        if self.when is not CheckpointWhen.STEPS and self.steps:
            raise ValueError(f"steps: {self.when} stops at no step of its own; leave steps out, or {FORMS}")
        return self


NO_CHECKPOINT = CheckpointPolicy()


class Pause(Contract):
    """A pause of a run."""

    by: Summary
    """Who paused it."""
    since: datetime
    """Since when, in workflow time (UTC)."""
    reason: Summary = ""
    """Why, at most 200 characters; may be empty."""

    @property
    def description(self) -> str:
        """Who paused the run, since when and why, in one line."""
        return f"paused by {self.by} since {self.since:%Y-%m-%d %H:%M:%S} UTC" + (
            f": {self.reason}" if self.reason else ""
        )


class PauseAnswer(Contract):
    """The answer to a request to pause or resume."""

    accepted: bool
    """Whether it changed something."""
    reason: str = ""
    """Why it did not; empty where it did."""
    paused: Pause | None = None
    """How the run stands now; None: it is not paused."""
