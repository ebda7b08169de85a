"""One agent asks another as it calls a tool: the call is a step of its own, below the step that asks.

An agent without tools answers in the same run. One with tools works in a run of its own (`workflow.py`): it is lent a share of
the budget, has the same policies, and what it changed, spent and was denied is taken over when it has ended, however it did.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
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
from outlast.agents.delegation.ended_activities import DelegateActivities
from outlast.agents.outcomes import Outcomes, digest_of_ask
from outlast.agents.tool_calls import RAISED, unanswered
from outlast.approvals.pausing import unpaused
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
    StepRow,
    StepState,
    ToolAnswer,
    ToolCall,
    ToolCard,
    ToolResult,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.undo.acts import Attempt
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_activity_anew
from outlast.workflow.context import RunContext
from outlast.workflow.failures import ENDINGS, FAILURES, halted, shielded

WORKFLOW = "DelegatedAgentWorkflow"
MOST_RUNS = 3
"""How many runs one call may take: a run that was reset finds that of before cancelled."""
FINAL = "This is final in this run: do not ask again, and do not try to reach the same in another way."


class Asking(Protocol):
    """The agents of a run, as one of them asks others."""

    run: RunContext
    request: RunRequest
    catalog: Catalog
    allowed: tuple[str, ...]
    outcomes: Outcomes
    asked_before: int

    @property
    def asked(self) -> int:
        """How many agents were asked by others so far."""

    def card(self, agent: str) -> AgentCard:
        """Return an agent's card."""

    async def ask_within(self, step: str, agent: str, parts: Sequence[Part], *, wait_for_cost: bool = False) -> Answer:
        """Ask an agent as a part of a step that has begun."""


@dataclass(frozen=True)
class _Delegated:
    """What came of a call; `changes` are numbers in the undo log of this run."""

    answer: ToolAnswer
    note: str = ""
    denied: tuple[GateState, ...] = ()
    changes: tuple[int, ...] = ()


async def delegate(
    agents: Asking, step: str, asker: str, card: ToolCard, call: ToolCall, attempt: Attempt | None
) -> tuple[ToolAnswer, str]:
    """Have an agent do a task for another one; returns its answer for the model, and a note ("" for nothing).

    Raises what ends the run: HaltedError, cancellation, a budget that is used up.
    """
    if attempt is not None and (before := attempt.repeated(call)) is not None:
        return before, f"{asker} asked {card.agent} again, which had done it already"

    async def made() -> _Delegated:
        await unpaused(agents.run.state)
        return await _Call(agents, step, asker, card, call).made()

    done = await journal.once(f"delegate {call.id}", _Delegated, made)
    agents.run.gates.denials(done.denied)
    if attempt is not None:
        found = [agents.run.undo.change(seq) for seq in done.changes]
        attempt.asked(call, [change for change in found if change is not None], done.answer)
    return done.answer, done.note


class _Call:
    """One call of an agent by another."""

    def __init__(self, agents: Asking, step: str, asker: str, card: ToolCard, call: ToolCall) -> None:
        self.agents, self.run = agents, agents.run
        self.step, self.asker, self.card, self.call = step, asker, card, call
        self.name = journal.fixed("name", self._unused)
        self.denied: tuple[GateState, ...] = ()
        self.changes: list[int] = []
        self.why = ""

    async def made(self) -> _Delegated:
        """Make the call; whatever goes wrong with it becomes something the model can read, but for what ends the run."""
        state = self.run.state
        parts = _parts(self.call)
        if wrong := self._refused() or ("" if parts else "'task' is missing: say what the agent is to do"):
            return _Delegated(unanswered(self.call, wrong))
        task = " ".join(str(self.call.input.get("task", "")).split())
        state.add(StepRow(step=self.name, agent=self.card.agent, input=task[:200], within=self.step))
        with self.run.trace.spans.within(self.step):
            state.begin(self.name, self.card.agent)
        started = workflow.now()
        try:
            answer = await self._answer(parts)
        except ENDINGS as error:
            why = text_of(error)
            state.end(self.name, StepState.FAILED, note=why)
            self.run.trace.tool_called(
                self.step, self.asker, self.card.name, f"task={task}", None, why, workflow.now() - started
            )
            return self._failed(error)
        state.end(self.name, StepState.DONE, output=answer.content, note="; ".join(answer.notes))
        result = ToolResult(content=answer.content)
        self.run.trace.tool_called(
            self.step, self.asker, self.card.name, f"task={task}", result, "", workflow.now() - started
        )
        return _Delegated(
            ToolAnswer(id=self.call.id, content=Part.of(answer.content)), "", self.denied, tuple(self.changes)
        )

    def _refused(self) -> str:
        """Say why the agent may not be asked, or nothing."""
        limits, mine = self.agents.request.delegation, self.name in self.run.state.steps
        if limits.depth < 1:
            return f"{self.card.agent} was not asked: agents may ask one another no deeper than this; do it yourself"
        if self.agents.asked - mine >= limits.count:
            return f"{self.card.agent} was not asked: this run has asked {limits.count} agents, which is the most; go on alone"
        return ""

    def _failed(self, error: BaseException) -> _Delegated:
        """Tell the model of a failure; raises what ends the run."""
        if not isinstance(error, FailureError) or _is_cancelled():
            raise error
        kind = kind_of(error)
        if kind is ErrorKind.HALTED:
            raise halted(f"{self.card.agent}: {text_of(error)}") from error
        if self.run.budget.stopped or (kind in RAISED and not isinstance(error, ChildWorkflowError)):
            raise error
        text = f"{self.card.agent} could not do it: {text_of(error)[:500]}"
        if kind is ErrorKind.ROLLED_BACK:
            self.run.undo.denied(f"{self.card.agent}: {text_of(error)}"[:200])
            text = f"{text}. {FINAL}"
        answer = ToolAnswer(id=self.call.id, content=Part(text=text), failed=True)
        return _Delegated(answer, text[:200], self.denied, tuple(self.changes))

    async def _answer(self, parts: Sequence[Part]) -> Answer:
        card = self.agents.card(self.card.agent)
        if not (card.tools or card.agents):
            return await self.agents.ask_within(self.name, card.name, parts, wait_for_cost=True)
        asked = digest_of_ask(card.name, parts)
        answer = await self.agents.outcomes.take(self.name, asked)
        if answer is None:
            # A run continues as new, and rolls back, only once this has ended and is taken over.
            with journal.at_work(), self.run.undo.at_work():
                found = await self._in_own_run(parts)
            answer = Answer(found.answer, found.agent or card.name, notes=found.notes)
        self.agents.outcomes.keep(self.name, asked, answer)
        return answer

    async def _in_own_run(self, parts: Sequence[Part]) -> DelegationResult:
        loan = await self.run.budget.lend()
        settled = [Settled()]
        try:
            return await self._result(self._request(parts, loan), settled)
        finally:
            if workflow.in_workflow():  # not where a run that leaves memory is closed
                self._take_over(settled, loan)

    async def _result(self, request: DelegationRequest, settled: list[Settled]) -> DelegationResult:
        """Start the run and wait for its end; `settled` is filled with what is to be taken over, whatever is raised."""
        first = f"{workflow.info().workflow_id}/{self.name}-{journal.digest(self.call.id, request.agent)[:6]}"
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
                if _is_cancelled():
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
        passing = asyncio.create_task(self._pass_on_pauses(handle))
        try:
            result: DelegationResult = await handle
            return result
        finally:
            passing.cancel()
            self.run.trace.waits_below(run)

    async def _pass_on_pauses(self, handle: "workflow.ChildWorkflowHandle[Any, Any]") -> None:
        state = self.run.state
        while True:
            await workflow.wait_condition(lambda: state.paused is not None)
            if state.paused is not None:
                by = {"by": state.paused.by, "reason": state.paused.reason}
                with suppress(*FAILURES):
                    await handle.signal("pause", by)
            await workflow.wait_condition(lambda: state.paused is None)
            with suppress(*FAILURES):
                await handle.signal("resume")

    async def _ended(self, run: str) -> DelegateEnded:
        """Read what a run that gave no result has changed and spent."""
        try:
            return await run_activity_anew(
                DelegateActivities.read_delegate,
                DelegateRequest(run=run),
                **policies.read_delegate(self.run.state.heartbeat, f"read what {self.card.agent} came to"),
            )
        except ActivityError as error:
            self.run.trace.notice(
                f"nobody knows what {run} changed: {text_of(error)}; if it must go, roll that run back"
            )
            return DelegateEnded(error=text_of(error), kind=ErrorKind.UNEXPECTED)

    def _request(self, parts: Sequence[Part], loan: Loan | None) -> DelegationRequest:
        agents, above = self.agents, self.agents.request
        limits, keeps = above.delegation, self.run.undo.on_denied.extent is Extent.KEEP
        return DelegationRequest(
            agent=self.card.agent,
            parts=tuple(parts),
            catalog=_reached(agents.catalog, self.card.agent),
            allowed=agents.allowed,
            denied=self.run.gates.denials(),
            lent=loan.budget if loan else None,
            budget=loan.budget if loan else None,
            gate=self.run.gates.policy,
            requester=self.run.gates.requester,
            on_denied=KEEP if keeps else ROLL_BACK_ALL,
            on_fallback=self.run.undo.on_fallback,
            stream=above.stream,
            webhooks=above.webhooks,
            delegation=DelegationLimits(depth=limits.depth - 1, count=max(0, limits.count - agents.asked)),
        )

    def _take_over(self, settled: Sequence[Settled], loan: Loan | None) -> None:
        """Count and list what the run has left; the loan goes back at the same moment as what was spent of it counts."""
        run = self.run
        for each in settled:
            run.state.charge(each.spend)
            run.trace.spent_below(self.name, each.spend)
            run.gates.waited += each.waited
            self.agents.asked_before += each.asked
            self.denied += each.denied
            self.changes += run.undo.take_over(each.changes, self.step)
            for agent, tool, reason in each.lacking:
                run.state.tools.lacks(agent, (f"{tool} ({reason})" if reason else tool,))
        run.budget.settle(loan, settled[-1].raised)

    def _unused(self) -> str:
        wanted = f"{self.step}/{self.card.agent}"
        numbered = (wanted if number == 1 else f"{wanted}#{number}" for number in count(1))
        return next(name for name in numbered if name not in self.run.state.steps)


def _parts(call: ToolCall) -> tuple[Part, ...]:
    """Return what the agent is given; nothing where the call says no task."""
    if call.ref is not None:
        return (
            Part(ref=call.ref, label="the task and its material, as JSON"),
            Part(text="Do the task that is given above."),
        )
    task, material = call.input.get("task"), call.input.get("material")
    if not isinstance(task, str) or not task.strip():
        return ()
    given = (Part(text=str(material), label="material"),) if material else ()
    return (*given, Part(text=task))


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


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
