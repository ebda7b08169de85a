"""Incident triage: three agents look into an alert at once, one judges it, a person confirms, and a report is written."""

from typing import Literal

from pydantic import BaseModel, Field
from temporalio import workflow

from outlast.contracts import ROLL_BACK_ALL, Part, ProposedAction, RollbackPolicy, RunRequest, RunResult
from outlast.gather import gather
from outlast.workflow.base import AgentWorkflow

REPORT = "report.md"


class Verdict(BaseModel):
    """The answer of the commander."""

    severity: Literal["SEV1", "SEV2", "SEV3"]
    cause: str = Field(description="The most likely cause, in one sentence.")
    first_step: str = Field(description="What to do now, in one sentence.")


class TriageRequest(RunRequest):
    """An alert, and the files of the workspace that may explain it."""

    alert: str
    log: str = "api.log"
    changes: str = "changes.md"
    on_failure: RollbackPolicy = ROLL_BACK_ALL


class TriageResult(RunResult):
    """The verdict, who confirmed it, and where the report stands."""

    verdict: Verdict
    confirmed_by: tuple[str, ...] = ()
    report_file: str = ""


@workflow.defn
class Triage(AgentWorkflow[TriageRequest, TriageResult]):
    """Triages one alert; unless a person confirms the verdict, nothing is written."""

    @workflow.run
    async def run(self, request: TriageRequest) -> TriageResult:
        """Investigate, judge, ask a person, write."""
        findings = await self._investigate(request)
        answer = await self.agents.ask("commander", [*findings, Part(text="How bad is it, and why?")], result=Verdict)
        verdict = answer.value
        decision = await self.gates.open(
            ProposedAction(
                description=f"declare a {verdict.severity} and write its report: {verdict.cause}",
                tool="write_file",
                input={"path": REPORT, **verdict.model_dump()},
            )
        )
        if not decision.approved:
            return TriageResult(verdict=verdict)
        task = f"Write {REPORT} about this {verdict.severity}. Cause: {verdict.cause} First step: {verdict.first_step}"
        await self.agents.ask("scribe", [*findings, Part(text=task)])
        return TriageResult(verdict=verdict, confirmed_by=decision.by, report_file=REPORT)

    async def _investigate(self, request: TriageRequest) -> list[Part]:
        """Ask all three at once; who fails leaves a gap, which the commander is told of."""
        tasks = {
            "log-reader": f"Read {request.log} and list the errors, with their times. The alert: {request.alert}",
            "change-reader": f"Read {request.changes} and name the changes that fit the alert: {request.alert}",
            "user-advocate": f"Say whom this alert hurts, and how: {request.alert}",
        }
        outcomes = await gather({agent: lambda agent=agent: self.agents.ask(agent, tasks[agent]) for agent in tasks})
        return [
            Part.of(outcome.value.content, label=agent)
            if outcome.value
            else Part(text=f"no finding: {outcome.error}", label=agent)
            for agent, outcome in outcomes.items()
        ]
