"""LLM-generated plan: a planner writes steps with dependencies, and they run as a graph.

The plan is validated before anything runs; what cannot be repaired goes back to the planner, then a named fallback plan
runs. An invalid plan is never executed, and a person's own plan is never rewritten by a model.
"""

from typing import Any

from temporalio import workflow

from outlast.approvals.checkpoints import Checkpoints, StoppedError
from outlast.contracts import (
    NO_CHECKPOINT,
    CheckpointWhen,
    Content,
    OnStepFailure,
    Plan,
    PlanReport,
    PlanRequest,
    PlanResult,
    RunState,
    StepAnswer,
    StepState,
)
from outlast.dag import AfterFailure
from outlast.errors import ErrorKind, non_retryable
from outlast.plans.checking import ends_of, shape_of
from outlast.plans.checkpoints import PlanCheckpoints
from outlast.plans.making import PlanMaking
from outlast.plans.running import PlanRunning
from outlast.tracing.rows import part_of_plan
from outlast.workflow import journal
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.keeping import (
    keep_data,
    keep_report,
    read_kept,
)

MAX_REPLANS = 2
AFTER_FAILURE = {
    OnStepFailure.SKIP_DEPENDENTS: AfterFailure.GO_ON,
    OnStepFailure.FAIL_FAST: AfterFailure.CANCEL,
    OnStepFailure.REPLAN: AfterFailure.DRAIN,
}


@workflow.defn
class PlanAndExecuteWorkflow(AgentWorkflow[PlanRequest, PlanResult]):
    """Plans a task (or takes a person's plan), executes it as a graph, and returns the answers of its last steps."""

    continues = True

    @workflow.init
    def __init__(self, request: PlanRequest) -> None:
        super().__init__(request)
        self._running = PlanRunning(self.agents, request.max_parallel)
        self._plan = Plan(steps=())

    @workflow.run
    async def run(self, request: PlanRequest) -> PlanResult:
        """Run the plan; fails with the typed cause when no last step gave an answer, after a rollback by policy."""
        points = Checkpoints(self.gates, request.checkpoint)
        points.only(CheckpointWhen.AFTER_PLAN, CheckpointWhen.STEPS)
        if request.kept_plan is not None:
            request = request.model_copy(update={"plan": await self._kept_plan(request.kept_plan)})
        await self._read_agents(request)
        self._running = PlanRunning(
            self.agents, request.max_parallel, schema=request.result_schema, on_done=self.undo.mark, archives=True
        )
        making = PlanMaking(self.agents, request)
        stops = PlanCheckpoints(points, making, self._running, self.state)
        self._plan = await making.make()
        stops.check(self._plan)
        if request.dry_run:
            return await self._result(making)
        try:
            await self._execute(making, stops)
        except StoppedError as stop:
            return await self._stopped(making, str(stop))
        if not self._whole:
            await self.undo.roll_back(request.on_failure, self._running.cause() or "not every step was done")
        result = await self._result(making)
        if not result.answers:
            raise non_retryable(
                self._running.cause_kind(), f"no last step of the plan succeeded: {self._running.cause()}", result
            )
        return result

    @workflow.query(
        description="The plan as it stands, empty before it is made; from a step's place on, as much as fits"
    )
    def plan(self, *args: Any) -> Plan:
        """Return the plan."""
        return part_of_plan(self._plan, *args)

    async def _kept_plan(self, kept: Content) -> Plan:
        """Read a long plan from the content store."""
        text = await read_kept(kept, "read the plan")
        try:
            plan = Plan.model_validate_json(text)
        except ValueError as error:
            raise non_retryable(ErrorKind.PLAN_INVALID, f"kept_plan: it holds no plan; {error}") from error
        await journal.breathe()
        return plan

    async def _read_agents(self, request: PlanRequest) -> None:
        """Read the agents: for a person's plan those that it names, because all of them would weigh on its history."""
        given = request.plan is not None and request.on_step_failure is not OnStepFailure.REPLAN
        if request.plan is not None and given and request.checkpoint == NO_CHECKPOINT:
            named = list(dict.fromkeys(step.agent for step in request.plan.steps))
            catalog = await self.agents.read(named, known_only=True)
            if not catalog.partial or all(catalog.get(name) for name in named):
                return
        # A name that needs a repair, or a refusal that says which names there are, needs all of them.
        await self.agents.read()

    async def _execute(self, making: PlanMaking, stops: PlanCheckpoints) -> None:
        """Run the plan, replanning after failures as often as allowed; raises StoppedError at a checkpoint."""
        replans = MAX_REPLANS if self.request.on_step_failure is OnStepFailure.REPLAN else 0
        self._plan = await stops.after_planning(self._plan)
        while True:
            after = self._after_failure(replans)
            await self._running.run(self._plan, after, until=stops.due)
            failed = self._running.failures()
            if (again := self._running.to_replan()) and replans:
                replans -= 1
                await self._running.recall(step.step for step in self._plan.steps)
                self._plan = await making.replan(self._plan, self._running.keep_settled(self._plan), again)
                self._plan = await stops.after_planning(self._plan)
            elif stops.due(self._running.outcomes) and not (failed and after is AfterFailure.CANCEL):
                self._plan = await stops.between_steps(self._plan)
            else:
                return

    async def _stopped(self, making: PlanMaking, why: str) -> PlanResult:
        """Keep what is done; stopping is no failure, so nothing is rolled back."""
        for row in list(self.state.steps.values()):
            if row.state is StepState.PENDING:
                self.state.end(row.step, StepState.SKIPPED, note=f"not run: {why}")
        return await self._result(making, why)

    def _after_failure(self, replans: int) -> AfterFailure:
        if self.request.on_step_failure is OnStepFailure.REPLAN and replans == 0:
            return AfterFailure.GO_ON
        return AFTER_FAILURE[self.request.on_step_failure]

    @property
    def _whole(self) -> bool:
        return all(row.state is StepState.DONE for row in self.state.steps.values())

    async def _result(self, making: PlanMaking, stopped: str = "") -> PlanResult:
        states = [row.state for row in self.state.steps.values()]
        ends = ends_of(self._done_part() if stopped else self._plan)
        await self._running.recall(ends)
        answers = [
            StepAnswer(step=step, content=outcome.value.content, data=await self._kept(step, outcome.value.data))
            for step in ends
            if (outcome := self._running.outcomes.get(step)) and outcome.value
        ]
        ended = RunState.COMPLETED if self._whole else RunState.PARTIAL if answers else RunState.FAILED
        self.state.close(RunState.STOPPED if stopped else ended)
        return PlanResult(
            state=self.state.phase,
            report=await self._keep_report(making),
            answers=tuple(answers),
            data=answers[0].data if len(answers) == 1 else None,
            done=states.count(StepState.DONE),
            failed=states.count(StepState.FAILED),
            skipped=states.count(StepState.SKIPPED),
            changes=len(making.changes),
            spend=self.state.spend,
            rollback=self.trace.rollback,
            stopped=stopped,
        )

    async def _kept(self, step: str, data: dict[str, Any] | None) -> Content | None:
        return None if data is None else await keep_data(data, f"{step} · keep the data")

    def _done_part(self) -> Plan:
        outcomes = self._running.outcomes
        return Plan(steps=tuple(one for one in self._plan.steps if one.step in outcomes and outcomes[one.step].ok))

    async def _keep_report(self, making: PlanMaking) -> Content:
        report = PlanReport(
            task=self.request.task,
            plan=self._plan,
            shape=shape_of(self._plan),
            steps=tuple(self.state.steps.values()),
            changes=tuple(making.changes),
            trace=self.trace.all_calls(),
            rollback=self.undo.changes,
        )
        return await keep_report(report, archived=self.state.archive.refs)
