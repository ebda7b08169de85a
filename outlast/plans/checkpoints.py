"""Checkpoints of a plan: after it is made, and once named steps have ended. What is ahead can be edited, what is done cannot.

An edit is a new plan. So it goes through the checks of a planner's plan, with the finished steps in front of it;
failed steps that it lists are tried again, and those that it leaves out are dropped.
"""

from collections.abc import Mapping
from typing import Any

from outlast.agents.answers import Answer
from outlast.approvals.checkpoints import Checkpoints
from outlast.contracts import CheckpointWhen, Plan, PlanChange
from outlast.dag import Outcome
from outlast.errors import ErrorKind, non_retryable
from outlast.plans.making import PlanMaking
from outlast.plans.running import PlanRunning
from outlast.workflow.state import ExecutionState


class PlanCheckpoints:
    """The checkpoints of one plan; `prefix` goes before step ids wherever people see them."""

    def __init__(
        self, points: Checkpoints, making: PlanMaking, running: PlanRunning, state: ExecutionState, *, prefix: str = ""
    ) -> None:
        self._points = points
        self._making = making
        self._running = running
        self._state = state
        self._prefix = prefix
        self._passed: list[str] = []

    def check(self, plan: Plan) -> None:
        """Refuse steps that are not in the plan; raises InputInvalid with those that are."""
        names = [step.step for step in plan.steps]
        unknown = [name for name in self._points.policy.steps if name not in names]
        if unknown:
            raise non_retryable(
                ErrorKind.INPUT_INVALID,
                f"checkpoint.steps: the plan has no step {', '.join(unknown)}; its steps are {', '.join(names)}",
            )

    def due(self, outcomes: Mapping[str, Outcome[Any]]) -> bool:
        """Whether a named step has ended, at which the run has not stopped yet."""
        return any(name in outcomes and name not in self._passed for name in self._points.policy.steps)

    async def after_planning(self, plan: Plan) -> Plan:
        """Stop before a new plan runs; returns the plan as people want it, raises StoppedError where they end the run."""
        if not self._points.at(CheckpointWhen.AFTER_PLAN):
            return plan
        return await self._hold(f"{self._prefix}after planning", plan)

    async def between_steps(self, plan: Plan) -> Plan:
        """Stop at named steps that have ended; as `after_planning`, and nothing happens where no step is left."""
        due = [name for name in self._points.policy.steps if name in self._running.outcomes]
        names = [name for name in due if name not in self._passed]
        self._passed = due
        if all(step.step in self._running.outcomes for step in plan.steps):
            return plan
        return await self._hold(f"after step {', '.join(names)}", plan)

    async def _hold(self, where: str, plan: Plan) -> Plan:
        done: Mapping[str, Outcome[Answer]] = self._running.outcomes
        kept = {step.step: step for step in plan.steps if step.step in done and done[step.step].ok}
        ahead = [step for step in plan.steps if step.step not in kept]
        failed = len(self._running.failures())
        self._running.announce(plan)  # so that people see each step of what they decide on
        summary = f"{len(kept)} of {len(plan.steps)} steps done" + (f", {failed} failed" if failed else "")
        summary += f"; ahead: {', '.join(f'{step.step} {step.agent}' for step in ahead)}"
        edited = await self._points.hold(
            where,
            summary,
            {"plan": {"steps": [step.model_dump(mode="json") for step in ahead]}},
            lambda edit: self._making.read_edit(edit, kept)[1],
        )
        if edited is None:
            return plan
        fresh, found, changes = self._making.read_edit(edited, kept)
        if fresh is None:
            raise non_retryable(ErrorKind.PLAN_INVALID, "the edited plan cannot run: " + "; ".join(found))
        self._running.keep_done()
        self._state.forget([self._prefix + step.step for step in ahead])
        new = [step.step for step in fresh.steps if step.step not in kept]
        written = PlanChange(
            stage="checkpoint", change=f"edited by a person {where}: now {', '.join(new) or 'nothing'}"
        )
        self._making.changes += [written, *changes]
        return fresh
