"""LLM-generated plan: a planner writes steps with dependencies, and they run as a graph.

The plan is validated before anything runs; what cannot be repaired goes back to the planner, then a named fallback plan
runs. An invalid plan is never executed, and a person's own plan is never rewritten by a model.
"""

from temporalio import workflow

from activities.content import ContentActivities
from activities.contracts import Catalog, Content, StoreRequest
from activities.errors import final
from workflows import policies
from workflows.contracts import (
    OnStepFailure,
    Plan,
    PlanReport,
    PlanRequest,
    PlanResult,
    RunState,
    StepAnswer,
    StepState,
)
from workflows.patterns.crew import Crew
from workflows.patterns.observed import Observed, closing
from workflows.patterns.plan_making import PlanMaking
from workflows.patterns.plan_running import PlanRunning
from workflows.patterns.planning import ends_of, shape_of
from workflows.patterns.scheduling import AfterFailure
from workflows.patterns.tracing import RunLog

MAX_REPLANS = 2
AFTER_FAILURE = {
    OnStepFailure.SKIP_DEPENDENTS: AfterFailure.GO_ON,
    OnStepFailure.FAIL_FAST: AfterFailure.CANCEL,
    OnStepFailure.REPLAN: AfterFailure.DRAIN,
}


@workflow.defn(failure_exception_types=policies.RUN_FAILURES)
class PlanAndExecuteWorkflow(Observed):
    """Plans a task (or takes a person's plan), executes it as a graph, and returns the answers of its last steps."""

    @workflow.init
    def __init__(self, request: PlanRequest) -> None:
        self.log = RunLog("plan and execute")
        self._request = request
        self._crew = Crew(self.log, Catalog(agents=()))
        self._running = PlanRunning(self._crew, request.max_parallel)

    @workflow.run
    @closing
    async def run(self, request: PlanRequest) -> PlanResult:
        """Run the plan; fails with the typed cause when no last step gave an answer, after a rollback by policy."""
        return await self.rollback.guarded(self._work(request), request.on_failure)

    async def _work(self, request: PlanRequest) -> PlanResult:
        self._crew = await self._assembled(request)
        self._running = PlanRunning(self._crew, request.max_parallel, on_done=self.rollback.mark)
        making = PlanMaking(self._crew, request)
        plan = await making.make()
        if request.dry_run:
            return await self._result(plan, making)
        plan = await self._execute(plan, making)
        if not self._whole:
            await self.rollback.roll_back(request.on_failure, self._running.cause() or "not every step was done")
        result = await self._result(plan, making)
        if not result.answers:
            raise final(
                self._running.cause_kind(), f"no last step of the plan succeeded: {self._running.cause()}", result
            )
        return result

    async def _assembled(self, request: PlanRequest) -> Crew:
        """Read the agents: for a person's plan those that it names, because all of them would weigh on its history."""
        if request.plan is not None and request.on_step_failure is not OnStepFailure.REPLAN:
            named = list(dict.fromkeys(step.agent for step in request.plan.steps))
            crew = await Crew.assemble(
                self.log, self.people, agents=named, known_only=True, rollback=self.rollback, budget=self.budget
            )
            if not crew.catalog.partial or all(crew.catalog.get(name) for name in named):
                return crew
        # A name that needs a repair, or a refusal that says which names there are, needs all of them.
        return await Crew.assemble(self.log, self.people, rollback=self.rollback, budget=self.budget)

    async def _execute(self, plan: Plan, making: PlanMaking) -> Plan:
        """Run the plan, replanning after failures as often as allowed; returns the plan as run."""
        replans = MAX_REPLANS if self._request.on_step_failure is OnStepFailure.REPLAN else 0
        while True:
            await self._running.run(plan, self._after_failure(replans))
            failed = self._running.failures()
            if not failed or replans == 0:
                return plan
            replans -= 1
            plan = await making.replan(plan, self._running.keep_done(), failed)

    def _after_failure(self, replans: int) -> AfterFailure:
        if self._request.on_step_failure is OnStepFailure.REPLAN and replans == 0:
            return AfterFailure.GO_ON
        return AFTER_FAILURE[self._request.on_step_failure]

    @property
    def _whole(self) -> bool:
        return all(row.state is StepState.DONE for row in self.log.steps.values())

    async def _result(self, plan: Plan, making: PlanMaking) -> PlanResult:
        states = [row.state for row in self.log.steps.values()]
        answers = [
            StepAnswer(step=step, content=outcome.value.content)
            for step in ends_of(plan)
            if (outcome := self._running.outcomes.get(step)) and outcome.value
        ]
        self.log.close(RunState.COMPLETED if self._whole else RunState.PARTIAL if answers else RunState.FAILED)
        return PlanResult(
            state=self.log.state,
            report=await self._keep_report(plan, making),
            answers=tuple(answers),
            done=states.count(StepState.DONE),
            failed=states.count(StepState.FAILED),
            skipped=states.count(StepState.SKIPPED),
            changes=len(making.changes),
            spend=self.log.spend,
            rollback=self.log.rollback,
        )

    async def _keep_report(self, plan: Plan, making: PlanMaking) -> Content:
        report = PlanReport(
            task=self._request.task,
            plan=plan,
            shape=shape_of(plan),
            steps=tuple(self.log.steps.values()),
            changes=tuple(making.changes),
            trace=self.log.trace(),
            rollback=self.rollback.changes,
        )
        return await workflow.execute_local_activity_method(
            ContentActivities.keep_text,
            StoreRequest(
                text=report.model_dump_json(),
                media_type="application/json",
                summary="report of the run",
                by_reference=True,
            ),
            **policies.keep_text("keep the report"),
        )
