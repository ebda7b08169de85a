"""LLM-generated plan: a planner writes steps with dependencies, and they run as a graph.

The plan is validated before anything runs; what cannot be repaired goes back to the planner, then a named fallback plan
runs. An invalid plan is never executed, and a person's own plan is never rewritten by a model.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.content import ContentActivities
from activities.contracts import Catalog, Content, Part, StoreRequest
from activities.errors import ErrorKind, final, text_of
from workflows import policies
from workflows.contracts import (
    OnStepFailure,
    Plan,
    PlanReport,
    PlanRequest,
    PlanResult,
    RunState,
    StepAnswer,
    StepRow,
    StepState,
)
from workflows.patterns.calling import Answer
from workflows.patterns.crew import Crew
from workflows.patterns.observed import Observed
from workflows.patterns.plan_making import PlanMaking
from workflows.patterns.planning import ends_of, graph_of, shape_of
from workflows.patterns.scheduling import AfterFailure, Outcome, run_graph
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
        self._outcomes: dict[str, Outcome[Answer]] = {}

    @workflow.run
    async def run(self, request: PlanRequest) -> PlanResult:
        """Run the plan; fails with the typed cause when no last step gave an answer."""
        self._crew = await Crew.assemble(self.log, self.people)
        making = PlanMaking(self._crew, request)
        plan = await making.make()
        if request.dry_run:
            return await self._result(plan, making)
        plan = await self._execute(plan, making)
        result = await self._result(plan, making)
        if not result.answers:
            raise final(self._cause_kind(), f"no last step of the plan succeeded: {self._cause()}", result)
        return result

    async def _execute(self, plan: Plan, making: PlanMaking) -> Plan:
        """Run the plan, replanning after failures as often as allowed; returns the plan as run."""
        replans = MAX_REPLANS if self._request.on_step_failure is OnStepFailure.REPLAN else 0
        while True:
            await self._run_steps(plan, after=self._after_failure(replans))
            failed = [step for step, outcome in self._outcomes.items() if outcome.error is not None]
            if not failed or replans == 0:
                return plan
            replans -= 1
            done = {step: outcome for step, outcome in self._outcomes.items() if outcome.ok}
            plan = await making.replan(plan, done, {step: self._error_of(step) for step in failed})
            self._outcomes = done

    def _after_failure(self, replans: int) -> AfterFailure:
        if self._request.on_step_failure is OnStepFailure.REPLAN and replans == 0:
            return AfterFailure.GO_ON
        return AFTER_FAILURE[self._request.on_step_failure]

    async def _run_steps(self, plan: Plan, after: AfterFailure) -> None:
        steps = {step.step: step for step in plan.steps}
        for step in plan.steps:
            if step.step not in self._outcomes:
                row = StepRow(
                    step=step.step,
                    agent=step.agent,
                    input=" ".join(step.input.split())[:200],
                    depends_on=step.depends_on,
                )
                self.log.add(row)

        async def execute(name: str) -> Answer:
            step = steps[name]
            parts = [Part(text=step.input)]
            for dependency in step.depends_on:
                answer = self._outcomes[dependency].value
                assert answer is not None
                parts.append(Part.of(answer.content, label=f"step {dependency}"))
            return await self._step(name, step.agent, parts)

        await run_graph(
            graph_of(plan),
            execute,
            max_parallel=self._request.max_parallel,
            outcomes=self._outcomes,
            after_failure=after,
            on_skip=lambda step, cause: self.log.end(
                step, StepState.SKIPPED, note=f"skipped, because step {cause} failed"
            ),
        )

    async def _step(self, name: str, agent: str, parts: list[Part]) -> Answer:
        self.log.begin(name)
        try:
            answer = await self._crew.ask(name, agent, parts)
        except (Exception, asyncio.CancelledError) as error:
            self.log.end(name, StepState.FAILED, note=text_of(error))
            raise
        self.log.end(name, StepState.DONE, output=answer.content, note="; ".join(answer.notes))
        return answer

    def _error_of(self, step: str) -> str:
        error = self._outcomes[step].error
        return text_of(error) if error else ""

    def _cause(self) -> str:
        failed = [step for step, outcome in self._outcomes.items() if outcome.error is not None]
        return "; ".join(f"step {step}: {self._error_of(step)}" for step in failed[:3])

    def _cause_kind(self) -> ErrorKind:
        for outcome in self._outcomes.values():
            if isinstance(outcome.error, ApplicationError) and outcome.error.type in set(ErrorKind):
                return ErrorKind(outcome.error.type)
        return ErrorKind.NOTHING_SUCCEEDED

    async def _result(self, plan: Plan, making: PlanMaking) -> PlanResult:
        states = [row.state for row in self.log.steps.values()]
        answers = [
            StepAnswer(step=step, content=outcome.value.content)
            for step in ends_of(plan)
            if (outcome := self._outcomes.get(step)) and outcome.value
        ]
        whole = all(state is StepState.DONE for state in states)
        self.log.close(RunState.COMPLETED if whole else RunState.PARTIAL if answers else RunState.FAILED)
        return PlanResult(
            state=self.log.state,
            report=await self._keep_report(plan, making),
            answers=tuple(answers),
            done=states.count(StepState.DONE),
            failed=states.count(StepState.FAILED),
            skipped=states.count(StepState.SKIPPED),
            changes=len(making.changes),
            spend=self.log.spend,
        )

    async def _keep_report(self, plan: Plan, making: PlanMaking) -> Content:
        report = PlanReport(
            task=self._request.task,
            plan=plan,
            shape=shape_of(plan),
            steps=tuple(self.log.steps.values()),
            changes=tuple(making.changes),
            trace=self.log.trace(),
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
