"""The run of one agent with tools that another agent has asked: a history, a transcript and an undo log of its own.

So the history of the run that asks stays flat. All that both share was handed down with the request or goes back when it has
ended; what waits for people here is told to the run that asked.
"""

import asyncio
from contextlib import suppress
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from outlast.agents.delegation.contracts import DelegationRequest, DelegationResult, Settled
from outlast.agents.delegation.own_run import DECIDED
from outlast.contracts import Decided, WaitsBelow
from outlast.errors import ErrorKind, non_retryable
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.handlers import LEFT_BEHIND

TOLD = "delegate_waits"
"""Signal by which a run hears what waits for people in the run of an agent that it asked."""


@workflow.defn
class DelegatedAgentWorkflow(AgentWorkflow[DelegationRequest, DelegationResult]):
    """Lets one agent do a task for another one."""

    continues = True

    @workflow.init
    def __init__(self, request: DelegationRequest) -> None:
        super().__init__(request)
        self.agents.allowed = request.allowed
        self.agents.take_over(request.catalog)
        self.gates.denials(request.denied)
        self.gates.asked_by = lambda: request.asked_by
        self.budget.lent = request.lent
        self.webhooks.delegate = request.agent
        self._told: WaitsBelow | None = None  # of what an earlier part of this run has told nobody knows here

    @workflow.run
    async def run(self, request: DelegationRequest) -> DelegationResult:
        """Ask the agent; what its tools changed stays, for the run that asked to decide on."""
        if request.part_before is None:
            self._take_over(request)
        telling = asyncio.create_task(self._tell())
        try:
            answer = await self.agents.ask(request.agent, request.parts, step=request.agent, wait_for_cost=True)
        finally:
            telling.cancel()
        return DelegationResult(answer=answer.content, agent=answer.agent, notes=answer.notes, settled=self.settled())

    @workflow.query(description="What the run that asked has to take over")
    def settled(self) -> Settled:
        """Return what this run has changed and spent, and what people decided in it."""
        known = {gate.digest for gate in self.request.denied}
        return Settled(
            changes=self.undo.changes,
            spend=self.state.spend,
            denied=tuple(gate for gate in self.gates.denials() if gate.digest not in known),
            decided=self.agents.deciding.decided().model_copy(update={"denied": ()}),
            raised=self.budget.raised_by,
            lacking=self.state.tools.carried,
            waited=self.gates.waits.seconds,
            asked=self.agents.asked,
        )

    @workflow.signal(name=DECIDED, description="Sent by the run that asked: look there", unfinished_policy=LEFT_BEHIND)
    async def delegate_decided(self, *_: Any) -> None:
        """Hear that people have decided something in the run that asked; what that is, it says itself."""
        await self.agents.deciding.hear_above()

    def _take_over(self, request: DelegationRequest) -> None:
        if request.decided != Decided():
            if workflow.info().parent is None:
                why = "only a run whose agent asks another hands on what people decided; leave it out"
                raise non_retryable(ErrorKind.INPUT_INVALID, f"decided: {why}")
            self.agents.deciding.adopt(request.decided)
        self._told = self._waiting()

    async def _tell(self) -> None:
        """Tell the run that asked whenever something else waits for people."""
        above = workflow.info().parent
        if above is None:
            return
        while True:
            await workflow.wait_condition(lambda: self._waiting() != self._told)
            self._told = self._waiting()
            with suppress(FailureError):
                await workflow.get_external_workflow_handle(above.workflow_id).signal(TOLD, self._told)

    def _waiting(self) -> WaitsBelow:
        return WaitsBelow(
            run=workflow.info().workflow_id,
            agent=self.request.agent,
            gates=self.trace.gates,
            questions=tuple(f"{each.id}: {each.text}" for each in self.state.questions.values()),
            below=tuple(self.trace.below.values()),
            decided=self.agents.deciding.mark,
        )
