"""A session whose stuck compensations are decided on by a signal, as a gate will do it."""

from typing import Any

from temporalio import workflow

from outlast.agents.sessions import AgentSessionRequest, AgentSessionResult
from outlast.contracts import Change, StuckDecision
from workflows.agent_session import AgentSessionWorkflow


@workflow.defn
class AskingSessionWorkflow(AgentSessionWorkflow):
    @workflow.init
    def __init__(self, request: AgentSessionRequest) -> None:
        super().__init__(request)
        self.said: list[StuckDecision] = []
        self.stuck: list[str] = []
        self.undo.on_stuck = self._decide

    @workflow.run
    async def run(self, request: AgentSessionRequest) -> AgentSessionResult:
        return await super().run(request)

    @workflow.signal
    def decide_stuck(self, *args: Any) -> None:
        self.said.append(StuckDecision(args[0]))

    @workflow.query
    def asked(self) -> list[str]:
        return self.stuck

    async def _decide(self, change: Change, error: str) -> StuckDecision:
        self.stuck.append(f"{change.tool}: {error}")
        await workflow.wait_condition(lambda: bool(self.said))
        return self.said.pop(0)
