"""How people steer a running workflow: by which policy gates wait for them, checkpoints, pauses.

A checkpoint without a decision is never an approval: at the end of its time it stops the run and keeps what is
done.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, model_validator

from outlast.contracts.actions import Risk, named
from outlast.contracts.base import Contract, Summary

YEAR = 31_536_000.0
"""Longest deadline, in seconds."""

DEADLINE = 300.0
"""How long people have, in seconds, where neither the run nor its deployment says anything."""


class OnTimeout(StrEnum):
    """What the end of the time means; never a yes."""

    DENY = "deny"
    HALT = "halt"
    """The whole run fails with Halted: what runs is cancelled, nothing else starts, no fallback is asked."""
    ESCALATE = "escalate"
    """The gate goes to `escalate_to` for as long again, once, and is denied then."""


class GatePolicy(Contract):
    """Who must approve, and how long they have; one denial by anybody who may decide settles a gate.

    What it leaves open, the deployment decides: `gates.toml`, GATE_DEADLINE (a day), GATE_APPROVERS (anybody), GATE_NEEDED (1).

    Example:
        ```python
        GatePolicy(needed=2, eligible=("ada", "bob", "eve"), deadline=8 * 3600, remind_every=3600)
        ```
    """

    needed: int | None = Field(default=None, ge=1, le=100)
    """How many different people must approve, from 1 to 100; None: as many as the deployment says, else one."""
    eligible: tuple[str, ...] = ()
    """Names of those who may decide; empty: those of the deployment, else anybody."""
    requester_may_approve: bool | None = None
    """Whether whoever asked for the run may approve what it proposes; None: as the deployment says, else no."""
    deadline: float | None = Field(default=None, gt=0, le=YEAR)
    """How long people have, in seconds, at most a year; None: as long as the deployment says, a day by default."""
    deadlines: Mapping[Risk, float] = Field(default_factory=dict)
    """How long they have for an action of a given risk, in seconds; `deadline` holds for the others."""
    remind_every: float | None = Field(default=None, ge=1)
    """Seconds between reminders while the gate waits; None: no reminder."""
    escalate_after: float | None = Field(default=None, gt=0)
    """Seconds after which `escalate_to` may decide as well; None: they may not, unless the time-out escalates."""
    escalate_to: tuple[str, ...] = ()
    """Names of those to whom the gate is escalated."""
    on_timeout: OnTimeout = OnTimeout.DENY
    """What happens at the deadline."""
    edit_needs_another_approver: bool | None = None
    """Whether a person who edits the arguments does not count among their approvers; None: as the deployment says, else yes."""
    stop_asking: bool | None = None
    """Whether an approval may stand for further calls of the tool in the run; None: as the deployment says, else yes."""

    @model_validator(mode="after")
    def _can_be_met(self) -> "GatePolicy":
        if (self.escalate_after is not None or self.on_timeout is OnTimeout.ESCALATE) and not self.escalate_to:
            raise ValueError("escalate_to: name the people to whom the gate is escalated")
        wrong = [risk for risk, seconds in self.deadlines.items() if not 0 < seconds <= YEAR]
        if wrong:
            raise ValueError(f"deadlines.{wrong[0]}: give seconds, more than 0 and at most {YEAR:.0f}")
        people = {named(name) for name in (*self.eligible, *self.escalate_to)}
        if self.eligible and len(people) < (self.needed or 1):
            raise ValueError(
                f"needed: {self.needed} people must approve, but eligible and escalate_to name {len(people)}"
            )
        return self

    def seconds(self, risk: Risk) -> float:
        """Return how long people have for an action of that risk."""
        return self.deadlines.get(risk) or self.deadline or DEADLINE

    def over(self, other: "GatePolicy") -> "GatePolicy":
        """Return another policy with all that this one says."""
        nothing = GatePolicy()
        said = {name: value for name, value in dict(self).items() if value != getattr(nothing, name)}
        return other.model_copy(update=said)

    def within(self, deployment: "GatePolicy | None") -> "GatePolicy":
        """Return the policy that holds in a deployment; it leaves nothing open.

        A run may ask for more people than the deployment, for more time or less, and for some of those whom it names; not for
        fewer people or for others, nor for what it forbids. `deployment` is what it says of this action; None: nothing.
        """
        over = deployment or GatePolicy()
        eligible = _among(self.eligible, over.eligible, over.eligible)
        escalate_to = _among(
            self.escalate_to, over.escalate_to, (*over.eligible, *over.escalate_to) * bool(over.eligible)
        )
        on_timeout = over.on_timeout if self.on_timeout is OnTimeout.DENY else self.on_timeout
        if on_timeout is OnTimeout.ESCALATE and not escalate_to:
            on_timeout = OnTimeout.DENY  # those to whom the run would escalate may not decide here
        may = (self.requester_may_approve, over.requester_may_approve)
        others = (self.edit_needs_another_approver, over.edit_needs_another_approver)
        return self.model_copy(
            update={
                "needed": max(self.needed or 1, over.needed or 1),
                "eligible": eligible,
                "deadline": self.deadline or over.deadline or DEADLINE,
                "remind_every": self.remind_every or over.remind_every,
                "escalate_after": (self.escalate_after or over.escalate_after) if escalate_to else None,
                "escalate_to": escalate_to,
                "on_timeout": on_timeout,
                # The stricter of the two, where both say something.
                "requester_may_approve": False not in may and True in may,
                "edit_needs_another_approver": True in others or False not in others,
                "stop_asking": False not in (self.stop_asking, over.stop_asking),
            }
        )


def _among(names: tuple[str, ...], default: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the names that are allowed (nobody listed: all are), and the default where none is."""
    known = {named(name) for name in allowed}
    return tuple(name for name in names if not known or named(name) in known) or default


class QuestionPolicy(Contract):
    """What a deployment says of the questions that runs ask people."""

    deadline: float | None = Field(default=None, gt=0, le=YEAR)
    """How long people have, in seconds, where whoever asks does not say; None: 300 s."""
    remind_every: float | None = Field(default=None, ge=1)
    """Seconds between reminders while a question waits; None: no reminder."""


class DeploymentPolicy(Contract):
    """What a deployment says of its gates: for all, for actions of a risk, for a tool; the later of these goes first."""

    general: GatePolicy = GatePolicy()
    """For all gates."""
    risk: Mapping[Risk, GatePolicy] = Field(default_factory=dict)
    """For actions of a given risk."""
    tools: Mapping[str, GatePolicy] = Field(default_factory=dict)
    """For calls of a tool, by its name."""
    questions: QuestionPolicy = QuestionPolicy()
    """For questions, which are no gates."""

    def of(self, risk: Risk, tool: str) -> GatePolicy:
        """Return what is said of an action: each field by whoever says something of it, the tool first."""
        said: dict[str, Any] = {}
        for policy in (self.general, self.risk.get(risk), self.tools.get(tool)):
            said |= {name: getattr(policy, name) for name in policy.model_fields_set} if policy is not None else {}
        return GatePolicy.model_validate(said)


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


class DelegationLimits(Contract):
    """How far agents may ask other agents."""

    depth: int = Field(default=3, ge=0, le=10)
    """How many agents may ask one another in a row; 0: none may ask."""
    count: int = Field(default=20, ge=0, le=500)
    """How many agents may be asked by agents of one run."""
