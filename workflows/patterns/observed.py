"""What every workflow of ours shows and withstands: its queries, people's decisions, and messages nobody understands.

The trap: a signal with no handler is buffered unseen, and one with the wrong number of arguments wedges the run for ever.
So a dynamic handler takes everything, never raises, and puts it where people see it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, wraps
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue

from workflows.contracts import Changes, DecisionLog, GateRecord, RollbackAnswer, RunStatus, Trace, Verdict
from workflows.patterns.approval import Gates
from workflows.patterns.people import People
from workflows.patterns.rollback import Rollback
from workflows.patterns.tracing import RunLog

W = TypeVar("W", bound="Observed")
Request = TypeVar("Request")
Result = TypeVar("Result")

LEFT_BEHIND = workflow.HandlerUnfinishedPolicy.ABANDON
"""A run does not wait at its end for the check of a decision: there is no gate any more that it could count at."""


def closing(run: Callable[[W, Request], Awaitable[Result]]) -> Callable[[W, Request], Awaitable[Result]]:
    """Let a `run` close its log even where it is cancelled or breaks off, so that nobody sees it running for ever."""

    @wraps(run)
    async def closed(self: W, request: Request) -> Result:
        try:
            return await run(self, request)
        except (Exception, asyncio.CancelledError) as error:
            self.log.broke_off(error)
            raise

    return closed


class Observed:
    """Base of our workflows; the subclass sets `self.log` in its `@workflow.init`."""

    log: RunLog

    @cached_property
    def people(self) -> People:
        """The people whom this run may ask."""
        return People(self.log)

    @cached_property
    def rollback(self) -> Rollback:
        """What this run has changed, and the way back."""
        return Rollback(self.log)

    @cached_property
    def gates(self) -> Gates:
        """The gates at which this run waits for people."""
        return Gates(self.log)

    @workflow.signal(
        description="Approve what waits: nothing, your name, or {gate, by, reason, digest, edit, token}",
        unfinished_policy=LEFT_BEHIND,
    )
    async def approve(self, *args: Any) -> None:
        """Take a person's yes."""
        await self.gates.receive(args, Verdict.APPROVE)

    @workflow.signal(
        description="Deny what waits: nothing, your name, or {gate, by, reason, digest, token}",
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

    @workflow.signal(description="Answer a question of this run: a text, or {question, answer}")
    def answer(self, *args: Any) -> None:
        """Take a person's answer."""
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
