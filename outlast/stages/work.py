"""The work on one stage: a model plans its sub-steps, they run as a graph, and the last one's answer is the output.

Tried again, it keeps the sub-steps that are done and asks for another way around those that failed. A plan with
several ends has several answers, so a last step joins them, and that one answers by the stage's schema.
"""

from collections.abc import Sequence

from outlast.agents.agents import Agents
from outlast.agents.answers import Answer
from outlast.approvals.checkpoints import Checkpoints
from outlast.contracts import Part, Plan
from outlast.dag import AfterFailure
from outlast.errors import non_retryable
from outlast.plans.checking import ends_of, with_one_end
from outlast.plans.checkpoints import PlanCheckpoints
from outlast.plans.making import PlanMaking
from outlast.plans.running import PlanRunning
from outlast.stages.contracts import Stage
from outlast.stages.rules import lead_of, planning_of

JOIN = "Put the results of the steps together into one. It shall be this: "


class StageWork:
    """The making of one stage's output by sub-steps, over all its attempts."""

    def __init__(
        self,
        agents: Agents,
        stage: Stage,
        *,
        planner: str,
        max_parallel: int,
        earlier: Sequence[str] = (),
        material: Sequence[Part] = (),
        points: Checkpoints,
    ) -> None:
        prefix = prefix_of(stage)
        request = planning_of(stage, earlier, planner)
        self._stage = stage
        self._given = request.plan is not None
        self._making = PlanMaking(agents, request, prefix=prefix, material=material)
        self._running = PlanRunning(agents, max_parallel, prefix=prefix, material=material, schema=stage.output_schema)
        self._stops = PlanCheckpoints(points, self._making, self._running, agents.run.state, prefix=prefix)
        self._plan: Plan | None = None

    @property
    def steps(self) -> int:
        """How many sub-steps the output is made of."""
        return len(self._running.outcomes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What happened to the plan before it ran."""
        return tuple(f"{change.stage}: {change.change}" for change in self._making.changes)

    async def draft(self) -> Answer:
        """Plan, run what is not done, and return the last answer; raises a non-retryable error of the first failure's kind."""
        chosen = await self._next_plan()
        if not self._given:
            chosen = await self._stops.after_planning(chosen)
        plan = self._plan = with_one_end(chosen, lead_of(self._stage), JOIN + self._stage.goal)
        await self._running.run(plan, AfterFailure.DRAIN)
        (last,) = ends_of(plan)
        ended = self._running.outcomes.get(last)
        answer = ended.value if ended else None
        if answer is None:
            raise non_retryable(self._running.cause_kind(), self._running.cause())
        return answer

    async def _next_plan(self) -> Plan:
        """Make the plan, or after a failure another one; where no model planned, the same steps are tried again."""
        if self._plan is None:
            return await self._making.make()
        failed = self._running.to_replan()
        done = self._running.keep_settled(self._plan)
        if self._given or self._making.fell_back:
            return self._plan
        return await self._making.replan(self._plan, done, failed)


def prefix_of(stage: Stage) -> str:
    """Return what stands before the names of a stage's sub-steps."""
    return f"{stage.name} · "
