"""Workflows that no command of ours was told of: of agents, and one that knows nothing of them."""

from typing import Any

from temporalio import workflow

from outlast.contracts import Content, ProposedAction, RunRequest, RunResult
from outlast.workflow.base import AgentWorkflow


class LetterRequest(RunRequest):
    topic: str
    sent: bool = True


class LetterResult(RunResult):
    letter: Content
    approved_by: tuple[str, ...] = ()


@workflow.defn
class LetterWorkflow(AgentWorkflow[LetterRequest, LetterResult]):
    @workflow.run
    async def run(self, request: LetterRequest) -> LetterResult:
        answer = await self.agents.ask("writer", request.topic)
        if not request.sent:
            return LetterResult(letter=answer.content)
        decision = await self.gates.open(ProposedAction(description="send the letter"))
        return LetterResult(letter=answer.content, approved_by=decision.by)


class Nudges:
    """Brings a signal along, as classes of users' own do."""

    nudged = False

    @workflow.signal
    def nudge(self, reason: str) -> None:
        self.nudged = bool(reason)

    @workflow.query
    def was_nudged(self) -> bool:
        return self.nudged


@workflow.defn
class NudgedWorkflow(Nudges, AgentWorkflow[LetterRequest, RunResult]):
    @workflow.run
    async def run(self, request: LetterRequest) -> RunResult:
        await self.agents.ask("writer", request.topic)
        await workflow.wait_condition(lambda: self.nudged)
        return RunResult()


@workflow.defn
class ForeignWorkflow:
    @workflow.run
    async def run(self, name: str) -> dict[str, Any]:
        return {"greeting": f"Hello, {name}", **({"state": "failed"} if name == "Bob" else {})}
