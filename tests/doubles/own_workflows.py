"""Workflows that no command of ours was told of: one of agents, and one that knows nothing of them."""

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


@workflow.defn
class ForeignWorkflow:
    @workflow.run
    async def run(self, name: str) -> dict[str, Any]:
        return {"greeting": f"Hello, {name}", **({"state": "failed"} if name == "Bob" else {})}
