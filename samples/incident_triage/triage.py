"""Incident triage: three agents look into an alert at once, one judges it, a person confirms, and a report is written."""

from typing import Literal

from pydantic import BaseModel, Field
from temporalio import workflow

from outlast import AgentWorkflow, Part, ProposedAction, RollbackPolicy, RunRequest, RunResult, each
from outlast.agents.answers import problems_of
from outlast.contracts import ROLL_BACK_ALL

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
        description = f"declare a {answer.value.severity} and write its report: {answer.value.cause}"
        proposal = ProposedAction(description=description, tool="declare_incident", input=answer.value.model_dump())
        decision = await self.gates.open(proposal, check=lambda edited: problems_of(dict(edited.input), Verdict))
        if not decision.approved:
            return TriageResult(verdict=answer.value)
        verdict = Verdict.model_validate(decision.action.input)  # a person may have edited it
        task = f"Write {REPORT} about this {verdict.severity}. Cause: {verdict.cause} First step: {verdict.first_step}"
        await self.agents.ask("scribe", [*findings, Part(text=task)])
        return TriageResult(verdict=verdict, confirmed_by=decision.by, report_file=REPORT)

    async def _investigate(self, request: TriageRequest) -> list[Part]:
        """Ask all three at once; the findings of one that fails are missing, and `status` shows why."""
        tasks = {
            "detective": f"Read {request.log} and list the errors, with their times. The alert: {request.alert}",
            "historian": f"Read {request.changes} and name the changes that fit the alert: {request.alert}",
            "advocate": f"Say whom this alert hurts, and how: {request.alert}",
        }
        outcomes = await each(tasks, lambda agent: self.agents.ask(agent, tasks[agent]))
        return [Part.of(found.value.content, label=agent) for agent, found in outcomes.items() if found.value]
