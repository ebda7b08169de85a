"""A plan made and run in one call: `outcome = await run_plan(self.agents, "Compare the two contracts.")`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.contracts import Part, Plan, PlanChange, PlanRequest
from outlast.dag import Outcome
from outlast.errors import non_retryable
from outlast.plans.checking import ends_of
from outlast.plans.making import PlanMaking
from outlast.plans.running import PlanRunning


@dataclass(frozen=True)
class PlanOutcome:
    """How a plan went: the plan as it ran, how each step ended, and what was repaired before."""

    plan: Plan
    outcomes: Mapping[str, Outcome[Answer]]
    changes: tuple[PlanChange, ...] = ()

    @property
    def answers(self) -> dict[str, Answer]:
        """The answers of its last steps, by step; those that failed are left out."""
        ended = {step: self.outcomes.get(step) for step in ends_of(self.plan)}
        return {step: one.value for step, one in ended.items() if one is not None and one.value is not None}


async def run_plan(
    agents: Agents,
    plan: str | Plan,
    *,
    planner: str = "planner",
    use: Sequence[str] = (),
    max_steps: int = 20,
    max_parallel: int = 32,
    material: Sequence[Part] = (),
    schema: dict[str, Any] | None = None,
) -> PlanOutcome:
    """Have a task planned, or take a plan as it is, and run its steps as a graph.

    Args:
        agents: The agents of the run, `self.agents`.
        plan: A task for the planner, or a plan.
        planner: The agent that plans.
        use: Agents that the planner may give steps to; by default all.
        max_steps: How many steps it may plan.
        max_parallel: How many steps run at once.
        material: What every step sees before its input.
        schema: JSON schema that the last steps answer by.

    Returns:
        How each step ended; a step that failed is no error, as long as any last step gave an answer.

    Raises:
        ApplicationError: PlanInvalid for a plan that cannot run; the kind of the first failure where no last step succeeded.

    Example:
        ```python
        outcome = await run_plan(self.agents, Plan(steps=(PlanStep(step="1", agent="analyst", input="Read it."),)))
        ```
    """
    await agents.ready()
    given = {"plan": plan} if isinstance(plan, Plan) else {"task": plan}
    request = PlanRequest(**given, planner=planner, agents=tuple(use), max_steps=max_steps)
    making = PlanMaking(agents, request, material=material)
    made = await making.make()
    running = PlanRunning(agents, max_parallel, material=material, schema=schema, on_done=agents.run.undo.mark)
    await running.run(made)
    outcome = PlanOutcome(made, running.outcomes, tuple(making.changes))
    if not outcome.answers:
        raise non_retryable(running.cause_kind(), f"no last step of the plan succeeded: {running.cause()}")
    return outcome
