"""A user's own workflow: two agents at once, typed answers, a gate, a tool with an undo, a budget."""

import asyncio
from typing import Literal

from pydantic import BaseModel, model_validator
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from outlast.consensus.panel import vote
from outlast.contracts import ChangingResult, Plan, PlanStep, ProposedAction, Risk, RunRequest, RunResult
from outlast.errors import ErrorKind, non_retryable
from outlast.gather import each
from outlast.plans.execute import run_plan
from outlast.review import review
from outlast.routing.choosing import route
from outlast.routing.requests import Category
from outlast.stages.contracts import Rubric
from outlast.workflow.base import AgentWorkflow


class Assessment(BaseModel):
    """What an agent makes of a ticket."""

    severity: Literal["low", "high"]
    why: str = ""

    @model_validator(mode="after")
    def _high_needs_a_reason(self) -> "Assessment":
        if self.severity == "high" and not self.why:
            raise ValueError("say why it is high")
        return self


class TriageRequest(RunRequest):
    ticket: str


class TriageResult(ChangingResult):
    severity: str = ""
    approved_by: tuple[str, ...] = ()


@workflow.defn
class Triage(AgentWorkflow[TriageRequest, TriageResult]):
    @workflow.run
    async def run(self, request: TriageRequest) -> TriageResult:
        async def assess(agent: str) -> Assessment:
            return (await self.agents.ask(agent, request.ticket, result=Assessment)).value

        ended = await each(("analyst", "sceptic"), assess)
        seen = [outcome.result() for outcome in ended.values()]
        if all(assessment.severity == "low" for assessment in seen):
            return TriageResult(severity="low")
        why = "; ".join(assessment.why for assessment in seen)
        decision = await self.gates.open(ProposedAction(description=f"page the on-call: {why}"[:200], risk=Risk.HIGH))
        if decision.approved:
            await self.agents.ask("file-clerk", f"Write the incident down: {why}")
        return TriageResult(severity="high", approved_by=decision.by)


CATEGORIES = (
    Category(name="bill", agent="analyst", description="A bill."),
    Category(name="other", agent="sceptic", description="Anything else."),
)


class LetterRequest(RunRequest):
    text: str


class LetterResult(RunResult):
    category: str = ""
    verdict: str = ""
    score: int | None = None
    planned: tuple[str, ...] = ()


@workflow.defn
class Letter(AgentWorkflow[LetterRequest, LetterResult]):
    """All patterns in a row, each in one call."""

    @workflow.run
    async def run(self, request: LetterRequest) -> LetterResult:
        category = await route(self.agents, request.text, CATEGORIES)
        steps = (PlanStep(step="1", agent="analyst", input="read"), PlanStep(step="2", agent="sceptic", input="doubt"))
        outcome = await run_plan(self.agents, Plan(steps=steps))
        panel = await vote(self.agents, "Is it grave?", voters=("analyst", "sceptic"))
        draft = outcome.answers["2"]
        best = await review(self.agents, draft, writer="writer", reviewer="reviewer", rubric=Rubric(rounds=1))
        return LetterResult(
            category=category.name, verdict=panel.verdict, score=best.score, planned=tuple(outcome.answers)
        )


@workflow.defn
class Careless(AgentWorkflow[TriageRequest, TriageResult]):
    """Fails while an agent that it does not wait for any more is still at work, as `asyncio.gather` does."""

    @workflow.run
    async def run(self, request: TriageRequest) -> TriageResult:
        async def fail() -> None:
            await workflow.wait_condition(lambda: bool(self.undo.changes.changes))
            raise non_retryable(ErrorKind.INPUT_INVALID, "the other one fails")

        await asyncio.gather(self.agents.ask("file-clerk", request.ticket), fail())
        return TriageResult()


@workflow.defn
class Chatty(AgentWorkflow[TriageRequest, TriageResult]):
    """Asks an agent in a signal, which may come before its run begins."""

    def __init__(self, request: TriageRequest) -> None:
        super().__init__(request)
        self.answers: list[str] = []

    @workflow.signal
    async def ask_now(self, text: str) -> None:
        try:
            self.answers.append((await self.agents.ask("analyst", text)).text)
        except ApplicationError as error:
            self.answers.append(str(error.type))

    @workflow.run
    async def run(self, request: TriageRequest) -> TriageResult:
        await workflow.wait_condition(lambda: bool(self.answers))
        return TriageResult(severity=self.answers[0])


@workflow.defn
class Untyped(AgentWorkflow[TriageRequest, TriageResult]):
    """Its `run` does not say what it takes."""

    @workflow.run
    async def run(self, request) -> TriageResult:  # type: ignore[no-untyped-def]
        return TriageResult()
