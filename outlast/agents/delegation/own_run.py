"""The run of an agent with tools, as the run that asks starts it, waits for it, and takes over what it leaves."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError, FailureError, WorkflowAlreadyStartedError

from outlast.agents.answers import Answer
from outlast.agents.delegation.contracts import (
    DelegateEnded,
    DelegateRequest,
    DelegationRequest,
    DelegationResult,
    Settled,
)
from outlast.agents.delegation.deciding import Deciding
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.agents.outcomes import Outcomes
from outlast.budget.lending import Loan
from outlast.contracts import (
    KEEP,
    ROLL_BACK_ALL,
    AgentCard,
    Catalog,
    DelegationLimits,
    Extent,
    GateState,
    Part,
    RunRequest,
)
from outlast.errors import ErrorKind, non_retryable, text_of
from outlast.notices.notifying import let_others_run
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.context import RunContext
from outlast.workflow.failures import shielded

WORKFLOW = "DelegatedAgentWorkflow"
DECIDED = "delegate_decided"
"""Signal by which the run of an agent hears that people have decided something that holds there, too."""
MOST_RUNS = 3
"""How many runs one call may take: a run that was reset finds that of before cancelled."""


MOST_ID = 1000
"""Bytes of the longest workflow id that a server takes by default; a task that wants a longer one would fail for ever."""


class Asking(Protocol):
    """The agents of a run, as one of them asks others."""

    run: RunContext
    request: RunRequest
    catalog: Catalog
    allowed: tuple[str, ...]
    outcomes: Outcomes
    deciding: Deciding
    asked_before: int
    set_aside: int
    sharing: int

    @property
    def asked(self) -> int:
        """How many agents were asked by others so far."""

    def card(self, agent: str) -> AgentCard:
        """Return an agent's card."""

    async def ask_within(self, step: str, agent: str, parts: Sequence[Part], *, wait_for_cost: bool = False) -> Answer:
        """Ask an agent as a part of a step that has begun."""


class OwnRun:
    """The run of one agent that another one has asked at a step; `name` is the step of this call, `call` names it for ever.

    `denied` are gates of it at which people denied an action, `changes` are numbers of its changes in the undo log of this run.
    """

    def __init__(self, agents: Asking, step: str, asker: str, agent: str, name: str, call: str) -> None:
        self.agents, self.run = agents, agents.run
        self.step, self.asker, self.agent, self.name, self.call = step, asker, agent, name, call
        self.denied: tuple[GateState, ...] = ()
        self.changes: list[int] = []

    async def result(self, parts: Sequence[Part]) -> DelegationResult:
        """Return what the agent answered; raises what its run failed with, once what it left is taken over."""
        loan = await self.run.budget.lend()
        catalog = _reached(self.agents.catalog, self.agent)
        may_ask = await self._set_aside() if any(card.agents for card in catalog.agents) else 0
        settled = [Settled()]
        try:
            return await self._result(self._request(parts, loan, catalog, may_ask), settled)
        finally:
            if workflow.in_workflow():
                self.agents.set_aside -= may_ask
                self._take_over(settled, loan)

    async def _set_aside(self) -> int:
        """Return how many agents it may ask in turn: those that begin at this moment, and this run, share what is left."""
        agents = self.agents
        agents.sharing += 1
        try:
            await let_others_run()  # the others of this moment are counted first
            left = max(0, agents.request.delegation.count - agents.asked)
            share = left // (agents.sharing + 1)
        finally:
            agents.sharing -= 1
        agents.set_aside += share
        return share

    async def _result(self, request: DelegationRequest, settled: list[Settled]) -> DelegationResult:
        """Start the run and wait for its end; `settled` is filled with what is to be taken over, whatever is raised."""
        first = id_below(workflow.info().workflow_id, self.name, journal.digest(self.call, request.agent)[:6])
        for number in range(1, MOST_RUNS + 1):
            run = first if number == 1 else f"{first}~{number}"
            self.run.state.done_by(self.name, run)
            try:
                result = await self._started(run, request)
                settled.append(result.settled)
                return result
            except WorkflowAlreadyStartedError:
                ended = await self._ended(run)
                settled.append(ended.settled)
                if ended.result is not None:
                    return ended.result
                if ended.kind:
                    raise non_retryable(ErrorKind(ended.kind), ended.error) from None
            except ChildWorkflowError as error:
                settled.append((await shielded(self._ended(run))).settled)
                if is_cancelled():
                    raise asyncio.CancelledError from error
                raise
            except asyncio.CancelledError:
                settled.append((await shielded(self._ended(run))).settled)
                raise
        raise non_retryable(ErrorKind.UNEXPECTED, f"the run {first} was ended {MOST_RUNS} times from outside")

    async def _started(self, run: str, request: DelegationRequest) -> DelegationResult:
        handle = await workflow.start_child_workflow(
            WORKFLOW,
            request,
            id=run,
            result_type=DelegationResult,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"{self.asker} asks {request.agent}"[:200],
        )
        decided = self._pass_on_decisions(handle, request.decided.model_copy(update={"denied": request.denied}).mark)
        passing = [asyncio.create_task(each) for each in (self._pass_on_pauses(handle), decided)]
        try:
            result: DelegationResult = await handle
            return result
        finally:
            if workflow.in_workflow():  # not where a run that leaves memory is closed
                for each in passing:
                    each.cancel()
                self.run.trace.waits_below(run)

    async def _pass_on_pauses(self, handle: "workflow.ChildWorkflowHandle[Any, Any]") -> None:
        state = self.run.state
        while True:
            await workflow.wait_condition(lambda: state.paused is not None)
            if state.paused is not None:
                by = {"by": state.paused.by, "reason": state.paused.reason}
                with suppress(FailureError):
                    await handle.signal("pause", by)
            await workflow.wait_condition(lambda: state.paused is None)
            with suppress(FailureError):
                await handle.signal("resume")

    async def _pass_on_decisions(self, handle: "workflow.ChildWorkflowHandle[Any, Any]", known: str) -> None:
        """Tell it whenever people decide something of which it has not said itself that it knows."""
        deciding = self.agents.deciding
        while True:
            known = await deciding.news_since(known)
            if deciding.heard.get(handle.id) != known:
                with suppress(FailureError):
                    await handle.signal(DECIDED)

    async def _ended(self, run: str) -> DelegateEnded:
        """Read what a run that gave no result has changed and spent."""
        try:
            return await run_activity_anew(
                DelegateActivities.read_delegate,
                DelegateRequest(run=run),
                **policies.read_delegate(self.run.state.heartbeat, f"read what {self.agent} came to"),
            )
        except ActivityError as error:
            self.run.trace.notice(
                f"nobody knows what {run} changed: {text_of(error)}; if it must go, roll that run back"
            )
            return DelegateEnded(error=text_of(error), kind=ErrorKind.UNEXPECTED)

    def _request(self, parts: Sequence[Part], loan: Loan | None, catalog: Catalog, may_ask: int) -> DelegationRequest:
        agents, above = self.agents, self.agents.request
        limits, keeps = above.delegation, self.run.undo.on_denied.extent is Extent.KEEP
        return DelegationRequest(
            agent=self.agent,
            parts=tuple(parts),
            catalog=catalog,
            allowed=agents.allowed,
            denied=self.run.gates.denials(),
            decided=agents.deciding.decided().model_copy(update={"denied": ()}),
            lent=loan.budget if loan else None,
            budget=loan.budget if loan else None,
            gate=self.run.gates.policy,
            requester=self.run.gates.requester,
            asked_by=tuple(self.run.gates.asked_by()),
            on_denied=KEEP if keeps else ROLL_BACK_ALL,
            on_fallback=self.run.undo.on_fallback,
            stream=above.stream,
            webhooks=above.webhooks,
            delegation=DelegationLimits(depth=limits.depth - 1, count=may_ask),
        )

    def _take_over(self, settled: Sequence[Settled], loan: Loan | None) -> None:
        """Count and list what the run has left; the loan goes back at the same moment as what was spent of it counts."""
        run = self.run
        for each in settled:
            run.state.charge(each.spend)
            run.trace.spent_below(self.name, each.spend)
            run.gates.waits.seconds += each.waited
            self.agents.asked_before += each.asked
            self.denied += each.denied
            self.agents.deciding.adopt(each.decided.model_copy(update={"denied": each.denied}))
            self.changes += run.undo.take_over(each.changes, self.step)
            for agent, tool, reason in each.lacking:
                run.state.tools.lacks(agent, (f"{tool} ({reason})" if reason else tool,))
        run.budget.settle(loan, settled[-1].raised)


def id_below(above: str, step: str, call: str) -> str:
    """Name the run of an agent that is asked: the id of the run above, the step, cut where both are too long, and the call.

    Raises InputInvalid where the id of the run above leaves no room; a rollback knows by that beginning what belongs to it.
    """
    room = MOST_ID - len(f"{above}/-{call}~{MOST_RUNS}".encode())
    if room < 0:
        why = f"the id of the run that asks has {len(above.encode())} bytes, and leaves no room for that of a run below"
        raise non_retryable(ErrorKind.INPUT_INVALID, f"{why}; start runs with shorter ids")
    return f"{above}/{step.encode()[:room].decode(errors='ignore')}-{call}"


def _reached(catalog: Catalog, agent: str) -> Catalog:
    """Return the catalog with only those whom the agent may come to ask."""
    wanted, waiting = dict[str, None](), [agent]
    while waiting:
        name = waiting.pop()
        card = catalog.get(name)
        if card is not None and name not in wanted:
            wanted[name] = None
            waiting += [*card.agents, *card.fallbacks]
    return catalog.model_copy(update={"agents": tuple(card for card in catalog.agents if card.name in wanted)})


def is_cancelled() -> bool:
    """Whether the task that runs is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
