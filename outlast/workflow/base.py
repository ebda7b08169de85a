"""What every workflow of ours shows and withstands: its queries, people's decisions, and messages nobody understands.

The trap: a signal with no handler is buffered unseen, and one with the wrong number of arguments wedges the run for ever.
So a dynamic handler takes everything, never raises, and puts it where people see it.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, partial, wraps
from typing import Any, Self, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

from outlast.approvals.gates import Gates
from outlast.approvals.pausing import Pausing
from outlast.approvals.people import People
from outlast.approvals.tool_gates import decide_on_stuck
from outlast.budget.limits import Budgeting
from outlast.consensus.choosing import answered
from outlast.contracts import (
    KEEP,
    Changes,
    Contract,
    DecisionLog,
    GateRecord,
    OnFallback,
    PauseAnswer,
    RollbackAnswer,
    RollbackPolicy,
    RunStatus,
    StartRequest,
    Trace,
    Verdict,
    WaitingActions,
    carried_in,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.tracing.live_text import Streaming
from outlast.tracing.trace import RunLog
from outlast.undo.rollback import Rollback
from outlast.workflow.failures import ENDINGS, failure_of

W = TypeVar("W", bound="Observed")
Request = TypeVar("Request")
Result = TypeVar("Result")

LEFT_BEHIND = workflow.HandlerUnfinishedPolicy.ABANDON
"""A run does not wait at its end for the check of a decision: there is no gate any more that it could count at."""


def closing(run: Callable[[W, Request], Awaitable[Result]]) -> Callable[[W, Request], Awaitable[Result]]:
    """Let a `run` keep its request's budget, and close its log however it ends, so that nobody sees it running for ever.

    A run whose budget is reached fails with BudgetReached, and leaves what result it has in the failure.
    """

    @wraps(run)
    async def closed(self: W, request: Request) -> Result:
        _refuse_made_up(request)
        self.rollback.on_fallback = getattr(request, "on_fallback", OnFallback.TELL)
        self.budget.start(getattr(request, "budget", None))
        self.gates.requester = self.gates.requester or getattr(request, "requester", "")
        if getattr(request, "stream", False):
            self.log.streaming = Streaming()
        try:
            result = await run(self, request)
        except ENDINGS as ended:
            error = failure_of(ended)
            await self.budget.close()
            await self.gates.telling.finish()
            self.log.broke_off(error)
            told = self.log.tools.told_of(self.budget.told(error))
            if told is ended:
                raise
            raise told from ended
        await self.budget.close()
        await self.gates.telling.finish()
        return self._budgeted(self.log.tools.told_in(result))

    return closed


def _refuse_made_up(request: object) -> None:
    """Refuse state that only an earlier part of this run can have left; raises InputInvalid that names the fields.

    A retry and the next turn of a cron schedule name a run before them too, but begin with the request of the first run.
    """
    info = workflow.info()
    continued = info.continued_run_id is not None and info.attempt == 1 and not info.cron_schedule
    if continued or not isinstance(request, Contract):
        return
    made_up = list(carried_in(request))
    if made_up:
        raise non_retryable(
            ErrorKind.INPUT_INVALID,
            f"{', '.join(made_up)}: only a run that continues as new carries this; leave it out of a first request",
        )


def taking_back(run: Callable[[W, Request], Awaitable[Result]]) -> Callable[[W, Request], Awaitable[Result]]:
    """Let a `run` take back what its tools changed, as far as its request's `on_failure` says, when it fails or is stopped."""

    @wraps(run)
    async def guarded(self: W, request: Request) -> Result:
        policy: RollbackPolicy = getattr(request, "on_failure", KEEP)

        async def work() -> Result:
            return await run(self, request)

        result = await self.rollback.guarded(work(), policy)
        if self.budget.stopped:
            await self.rollback.roll_back(policy, self.budget.stopped)
        return self.rollback.listed(result)

    return guarded


class Observed:
    """Base of our workflows; the subclass sets `self.log` in its `@workflow.init`."""

    log: RunLog

    def __new__(cls, *given: Any) -> Self:
        """Fail a run that is not started with its one request; a wrong number of inputs would only fail its task, for ever."""
        if len(given) != 1 or not isinstance(given[0], StartRequest):
            raise non_retryable(
                ErrorKind.INPUT_INVALID, f"give one request as the one input of {cls.__name__}; {len(given)} were given"
            )
        return super().__new__(cls)

    @cached_property
    def people(self) -> People:
        """The people whom this run may ask."""
        return People(self.log)

    @cached_property
    def rollback(self) -> Rollback:
        """What this run has changed, and the way back."""
        rollback = Rollback(self.log)
        rollback.on_stuck = partial(decide_on_stuck, self.gates)
        return rollback

    @cached_property
    def gates(self) -> Gates:
        """The gates at which this run waits for people."""
        return Gates(self.log)

    @cached_property
    def pausing(self) -> Pausing:
        """The pausing of this run."""
        return Pausing(self.log)

    @workflow.signal(
        name="pause", description="Pause: what runs finishes, nothing new starts; a reason, or {by, reason}"
    )
    def pause_signalled(self, *args: Any) -> None:
        """Take a person's wish to pause the run."""
        self.pausing.pause(args)

    @workflow.update(name="pause", description="The same, answered at once")
    def pause_asked(self, *args: Any) -> PauseAnswer:
        """Take a person's wish to pause the run, and say what came of it."""
        return self.pausing.pause(args)

    @workflow.signal(name="resume", description="Go on after a pause")
    def resume_signalled(self, *args: Any) -> None:
        """Take a person's wish to go on."""
        self.pausing.resume(args)

    @workflow.update(name="resume", description="The same, answered at once")
    def resume_asked(self, *args: Any) -> PauseAnswer:
        """Take a person's wish to go on, and say what came of it."""
        return self.pausing.resume(args)

    @cached_property
    def budget(self) -> Budgeting:
        """What this run may spend."""
        return Budgeting(self.log, self.gates)

    def _budgeted(self, result: Result) -> Result:
        """Say in a result how the run stands with its budget; raises BudgetReached where that ended it."""
        told: Result = self.budget.told_in(result)
        if self.budget.stopped:
            raise non_retryable(ErrorKind.BUDGET_REACHED, self.budget.stopped, told)
        return told

    @workflow.signal(
        description="Approve what waits: nothing, yes, or {gate, by, reason, digest, edit, token}",
        unfinished_policy=LEFT_BEHIND,
    )
    async def approve(self, *args: Any) -> None:
        """Take a person's yes."""
        await self.gates.receive(args, Verdict.APPROVE)

    @workflow.signal(
        description="Deny what waits: nothing, your name, a reason, or {gate, by, reason, digest, token}",
        unfinished_policy=LEFT_BEHIND,
    )
    async def deny(self, *args: Any) -> None:
        """Take a person's no."""
        await self.gates.receive(args, Verdict.DENY)

    @workflow.signal(
        description="Decide: {gate, verdict, by, reason, digest, edit, channel, token}", unfinished_policy=LEFT_BEHIND
    )
    async def decide(self, *args: Any) -> None:
        """Take a person's decision in full."""
        await self.gates.receive(args)

    @workflow.update(
        name="decide",
        description="Decide, and hear at once what came of it: the same as the signal",
        unfinished_policy=LEFT_BEHIND,
    )
    async def decide_now(self, *args: Any) -> GateRecord:
        """Take a person's decision in full; refuses with the reason what changes nothing."""
        return await self.gates.answer(args)

    @workflow.query(description="Every decision on this run's gates, as a chain of hashes")
    def decisions(self) -> DecisionLog:
        """Return the decision log."""
        return self.gates.log

    @workflow.query(description="What waits at this run's gates, arguments in full")
    def proposed(self) -> WaitingActions:
        """Return the actions that people are asked about."""
        return self.gates.actions

    @workflow.signal(
        description="Answer a question of this run: a text, or {question, answer}", unfinished_policy=LEFT_BEHIND
    )
    async def answer(self, *args: Any) -> None:
        """Take a person's answer."""
        if not await answered(self.gates, self.log, args):
            self.people.answer(args)

    @workflow.signal(
        name="rollback", description="Stop and take back what was changed: nothing, or a checkpoint's name"
    )
    def roll_back_signalled(self, *args: Any) -> None:
        """Take a person's wish to roll back."""
        self.rollback.ask(args)

    @workflow.update(name="rollback", description="The same, answered at once: whether it is carried out, and why not")
    def roll_back_asked(self, *args: Any) -> RollbackAnswer:
        """Take a person's wish to roll back, and say whether it is carried out."""
        return self.rollback.ask(args)

    @workflow.query(description="What the tools of this run changed, and what became of it")
    def changes(self) -> Changes:
        """Return the changes of the run."""
        return self.rollback.changes

    @workflow.query(description="Steps, spend and state of this run")
    def status(self) -> RunStatus:
        """Return the state of the run."""
        return self.log.status()

    @workflow.query(description="All model calls of this run")
    def trace(self) -> Trace:
        """Return the step trace."""
        return self.log.trace()

    @workflow.signal(dynamic=True, description="Any other signal: kept and shown, changes nothing")
    def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        """Keep a signal that this workflow does not know."""
        self.log.notice(f"signal {name!r} with {len(args)} inputs means nothing to this run")
