"""The handlers of every workflow of agents: its queries, people's decisions, and unknown messages.

A signal with no handler is buffered unseen, and one with the wrong number of arguments wedges the run forever. So each handler
takes any arguments, never raises, and puts what it does not understand where people see it.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

from pydantic_core import to_json
from temporalio import workflow
from temporalio.common import RawValue

from outlast.agents.agents import Agents
from outlast.approvals.choices import answered, meant
from outlast.approvals.gates import Gates
from outlast.approvals.pausing import Pausing
from outlast.approvals.people import People
from outlast.approvals.views import TURNED_DOWN
from outlast.contracts import (
    Changes,
    Decided,
    DecisionLog,
    GateRecord,
    PauseAnswer,
    QuestionAnswered,
    RollbackAnswer,
    RunState,
    RunStatus,
    StepOutcomes,
    Trace,
    Verdict,
    WaitingActions,
)
from outlast.errors import ErrorKind, non_retryable
from outlast.tracing.trace import RunTrace
from outlast.undo.rollback import Rollback
from outlast.workflow.activity_calls import is_recent, local_at_work, note_length
from outlast.workflow.state import ExecutionState

LEFT_BEHIND = workflow.HandlerUnfinishedPolicy.ABANDON
"""A run does not wait at its end for the check of a decision: there is no gate any more that it could count at."""

SIGNAL, WAITS = "__temporal_signal_definition", "waits_for_local_calls"
"""What `workflow.signal` leaves on a handler, and what `after_local_calls` does."""

UPDATE_LIMIT = 1024 * 1024
"""Most bytes of an update, as JSON."""


Handler = TypeVar("Handler", bound=Callable[..., Any])


def after_local_calls(handler: Handler) -> Handler:
    """Let the handler of a signal wait for the local activities of the run, for the reason that `local_at_work` gives.

    A run that ends waits for nothing, and no update does: the SDK can lose the answer of one that a local activity lets end.
    Where a message kept the server from taking the end of the run, a replay may deliver it after `run` has ended. Nothing may
    come of it then: the server refuses any command after the one that ends a run, again and again.
    """

    @wraps(handler)
    async def waiting(flow: "MessageHandlers", *args: Any) -> Any:
        if is_recent() and local_at_work() and workflow.current_update_info() is None:
            await workflow.wait_condition(lambda: not local_at_work() or flow.state.phase is not RunState.RUNNING)
        if flow.is_over:
            await workflow.wait_condition(lambda: False)
        if not local_at_work():
            note_length()
        handled = handler(flow, *args)
        return await handled if isinstance(handled, Awaitable) else handled

    setattr(waiting, WAITS, True)
    return cast(Handler, waiting)


def let_signals_wait(flow: type) -> None:
    """Let every handler of a signal that a class has wait as those of this library do, see `after_local_calls`."""
    for name, handler in inspect.getmembers(flow, inspect.isfunction):
        signal = getattr(handler, SIGNAL, None)
        if signal is not None and not hasattr(handler, WAITS):
            waiting = after_local_calls(handler)
            setattr(waiting, SIGNAL, replace(signal, fn=waiting))  # the worker calls what stands in it
            setattr(flow, name, waiting)


class MessageHandlers:
    """The signals, updates and queries of every run."""

    is_over = False
    """Whether `run` has ended."""

    agents: Agents
    gates: Gates
    pausing: Pausing
    people: People
    state: ExecutionState
    trace: RunTrace
    undo: Rollback

    @workflow.signal(
        name="pause", description="Pause: what runs finishes, nothing new starts; a reason, or {by, reason}"
    )
    @after_local_calls
    def pause_signalled(self, *args: Any) -> None:
        """Pause the run for a person."""
        self.pausing.pause(args)

    @workflow.update(name="pause", description="The same, answered at once")
    @after_local_calls
    def pause_asked(self, *args: Any) -> PauseAnswer:
        """Pause the run for a person, and answer what came of it."""
        return self.pausing.pause(args)

    @workflow.signal(name="resume", description="Go on after a pause")
    @after_local_calls
    def resume_signalled(self, *args: Any) -> None:
        """Resume the run."""
        self.pausing.resume(args)

    @workflow.update(name="resume", description="The same, answered at once")
    @after_local_calls
    def resume_asked(self, *args: Any) -> PauseAnswer:
        """Resume the run, and return the outcome."""
        return self.pausing.resume(args)

    @workflow.signal(
        description="Approve what waits: nothing, yes, or {gate, by, reason, digest, edit, token}",
        unfinished_policy=LEFT_BEHIND,
    )
    @after_local_calls
    async def approve(self, *args: Any) -> None:
        """Take an approval."""
        await self.gates.receive(args, Verdict.APPROVE)

    @workflow.signal(
        description="Deny what waits: nothing, your name, a reason, or {gate, by, reason, digest, token}",
        unfinished_policy=LEFT_BEHIND,
    )
    @after_local_calls
    async def deny(self, *args: Any) -> None:
        """Take a denial."""
        await self.gates.receive(args, Verdict.DENY)

    @workflow.signal(
        description="Decide: {gate, verdict, by, reason, digest, edit, channel, token}", unfinished_policy=LEFT_BEHIND
    )
    @after_local_calls
    async def decide(self, *args: Any) -> None:
        """Take a person's decision in full."""
        await self.gates.receive(args)

    @workflow.update(
        name="decide",
        description="Decide, and hear at once what came of it: the same as the signal",
        unfinished_policy=LEFT_BEHIND,
    )
    @after_local_calls
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
    @after_local_calls
    async def answer(self, *args: Any) -> None:
        """Take a person's answer."""
        if (choice := meant(self.gates, self.state, args)) is not None:
            await answered(self.gates, *choice)
        else:
            self.people.answers.receive(args)

    @workflow.update(
        name="answer",
        description="The same, and hear at once what came of it: what is no answer is refused with the reason",
        unfinished_policy=LEFT_BEHIND,
    )
    @after_local_calls
    async def answer_now(self, *args: Any) -> QuestionAnswered:
        """Take a person's answer; refuses with the reason what would change nothing."""
        if (choice := meant(self.gates, self.state, args)) is None:
            return await self.people.answers.answer(args)
        record = await answered(self.gates, *choice)
        if record.kind in TURNED_DOWN:
            raise non_retryable(ErrorKind.INPUT_INVALID, f"answer: {record.kind}: {record.reason}")
        return QuestionAnswered(question=choice[0])

    @workflow.signal(
        name="delegate_waits",
        description="Sent by the run of an agent that this run asked: what waits there",
        unfinished_policy=LEFT_BEHIND,
    )
    @after_local_calls
    async def delegate_waits(self, *args: Any) -> None:
        """Hear what waits for people in the run of an agent, and look there where they may have decided something."""
        await self.agents.deciding.hear_below(self.trace.told_of_waits(args))

    @workflow.query(description="What people decided that holds for this run, and for those of agents above and below")
    def decided(self) -> Decided:
        """Return the approvals that stand, those that were revoked, and the denials."""
        return self.agents.deciding.decided()

    @workflow.signal(name="rollback", description="Stop and undo what was changed: nothing, or a checkpoint's name")
    @after_local_calls
    def roll_back_signalled(self, *args: Any) -> None:
        """Roll back for a person."""
        self.undo.ask(args)

    @workflow.update(name="rollback", description="The same, answered at once: whether it is carried out, and why not")
    @after_local_calls
    def roll_back_asked(self, *args: Any) -> RollbackAnswer:
        """Roll back for a person, and answer whether it is carried out."""
        return self.undo.ask(args)

    @workflow.query(description="What the tools of this run changed, and what became of it")
    def changes(self) -> Changes:
        """Return the changes of the run."""
        return self.undo.changes

    @workflow.query(
        description="What this run's steps came to, from the one of the given number on: what a fork takes over"
    )
    def outcomes(self, *args: Any) -> StepOutcomes:
        """Return the outcomes of steps, as many as fit into a message."""
        return self.agents.outcomes.page(args, self.state.archive.refs)

    @workflow.query(description="Steps, spend and state of this run")
    def status(self) -> RunStatus:
        """Return the state of the run."""
        return self.trace.status()

    @workflow.query(description="This run's steps, from the one of the given number on: as many as fit")
    def steps(self, *args: Any) -> StepOutcomes:
        """Return steps as people see them, as many as fit into a message."""
        return self.trace.steps(args)

    @workflow.query(name="trace", description="All model calls of this run")
    def trace_query(self) -> Trace:
        """Return the step trace."""
        return self.trace.all_calls()

    @workflow.signal(dynamic=True, description="Any other signal: kept and shown, changes nothing")
    def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        """Keep a signal that this workflow does not know."""
        self.trace.notice(f"signal {name!r} with {len(args)} inputs means nothing to this run")

    def check_size(self, *args: Any) -> None:
        """Refuse an update that history cannot hold: a server takes one of up to 4 MB, and ends the run that accepts it.

        Raises PayloadTooLarge, which the sender sees and the run does not.
        """
        size = len(to_json(args, bytes_mode="base64", fallback=repr))
        if size > UPDATE_LIMIT:
            raise non_retryable(
                ErrorKind.PAYLOAD_TOO_LARGE,
                f"the update is {size:,} bytes, over {UPDATE_LIMIT:,}; hand large texts over by reference",
            )

    def check_answer(self, *args: Any) -> None:
        """Refuse an answer that nothing was asked for, or that does not fit the question; raises InputInvalid with the reason."""
        self.check_size(*args)
        if (choice := meant(self.gates, self.state, args)) is None:
            why = self.people.answers.refusal(args)
        else:
            name, chosen = choice
            options = self.gates.choices[name]
            why = "" if chosen in options else f"answer: {chosen[:60]!r} is not one of {', '.join(options)}"
        if why:
            raise non_retryable(ErrorKind.INPUT_INVALID, why)

    answer_now.validator(check_answer)
    pause_asked.validator(check_size)
    resume_asked.validator(check_size)
    decide_now.validator(check_size)
    roll_back_asked.validator(check_size)
