"""A conversation: what people say becomes turns of one agent, until somebody ends it.

Messages that come while the agent works are heard at its next turn, together with the answers of its tools; one that interrupts
breaks off the running call first. A message whose work fails or meets a limit is accounted for, and the conversation goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from outlast.agents.agents import Agents
from outlast.agents.answers import LoopEnd, LoopState
from outlast.agents.conversation.inbox import Inbox, shown
from outlast.agents.sessions import ConversationCarried, MessageState, SaidMessage, SessionLimits, SessionProgress
from outlast.agents.tool_loop import AgentLoop
from outlast.contracts import AgentCard, Content, Message, Part
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.workflow.activity_calls import is_recent
from outlast.workflow.failures import ENDINGS, FAILURES, HaltedError, finished

IDLE = "waits for a message"
INTERRUPTED = "[You were interrupted here, before you had answered. What you are told next matters now.]"
FAILED = "[You could not answer what was said before.]"
SAID_IN_VAIN = (ErrorKind.MODEL_REFUSED, ErrorKind.MODEL_REJECTED, ErrorKind.CONTEXT_EXCEEDED)
"""Failures that the message itself may be the reason of: it does not stay in the conversation, which would fail again."""
NOTES_KEPT = 50


@dataclass
class Talk:
    """The conversation of one session with the agent of `card`, which goes on from `before`.

    `long` says whether the session should continue as new, which `leave` does where nothing is against it.
    """

    agents: Agents
    step: str
    card: AgentCard
    inbox: Inbox
    limits: SessionLimits
    schema: dict[str, Any] | None
    before: SessionProgress
    carried: ConversationCarried
    long: Callable[[], bool]
    leave: Callable[[], Awaitable[None]]

    def __post_init__(self) -> None:
        self.answer: Content | None = self.carried.answer
        self.data: dict[str, Any] | None = None
        self._notes = list(self.before.notes)
        self._turns = self.before.turns - self.carried.turns
        self._tool_calls = self.before.tool_calls
        self._compactions = self.before.compactions - self.carried.compactions
        self._checkpoint: tuple[Any, ...] = (self.before.transcript, ())
        self._leaves = False
        state = LoopState(
            transcript=self.before.transcript,
            left=self.before.left,
            open=self.before.open,
            turns=self.carried.turns,
            tokens=self.carried.tokens,
            compactions=self.carried.compactions,
        )
        self._loop = self._made(state, self.before.started or None)

    async def run(self) -> LoopEnd:
        """Answer messages until the session is ended.

        Raises:
            ApplicationError: BudgetReached when the budget of the session is spent.
            HaltedError: When a gate was not decided in time whose policy halts the run.
        """
        try:
            while True:
                if self.long():
                    await self.leave()
                if self.inbox.working or self.inbox.waiting:
                    await self._work()
                elif self.inbox.ended:
                    return LoopEnd(content=self.answer or Content(), data=self.data, notes=tuple(self._notes))
                else:
                    self._tell(IDLE)
                    await workflow.wait_condition(self._awake)
        except ENDINGS as error:
            why = "the session was cancelled" if is_cancelled_exception(error) else text_of(error)
            self.inbox.give_up(why)
            raise

    @property
    def speaker(self) -> AgentCard:
        """Who has the conversation."""
        return self._loop.card

    @property
    def carried_on(self) -> dict[str, Any]:
        """What the next part of the session must know of the turns so far."""
        state = self._loop.state
        return {"turns": state.turns, "tokens": state.tokens, "compactions": state.compactions, "answer": self.answer}

    def progress(self) -> dict[str, Any]:
        """How far the conversation is, as fields of `SessionProgress`."""
        state, calls = self._loop.state, self._loop.calls
        return {
            "transcript": state.transcript,
            "left": self._loop.left,
            "open": calls.turn if calls else state.open,
            "turns": self._turns + state.turns,
            "tool_calls": self._tool_calls + state.tool_calls,
            "compactions": self._compactions + state.compactions,
            "started": (self._loop.started or 0.0) + (calls.waited if calls else 0.0),
            "notes": tuple([*self._notes, *self._loop.notes][-NOTES_KEPT:]),
        }

    def stop(self, why: str) -> LoopEnd:
        """End the conversation where it is."""
        return LoopEnd(content=self.answer or Content(), stopped=why, notes=(*self._notes, why))

    def _awake(self) -> bool:
        return bool(self.inbox.waiting) or self.inbox.ended or self.long()

    async def _work(self) -> None:
        """Have the agent answer what was said, and account for it."""
        if not self.inbox.working:
            if not (heard := await self._heard()):
                return  # what waited was given up meanwhile, because the session was ended at once
            self._begin(with_parts(self._loop.state.left, heard))
        else:  # it was begun in an earlier part of the session
            heard = _parts(self.inbox.working)
        working = asyncio.create_task(self._loop.run(heard))
        try:
            while True:
                await workflow.wait_condition(lambda: working.done() or self.inbox.interrupting or self._may_leave())
                if working.done() or self.inbox.interrupting:
                    break
                self._leaves = True  # the turn may go on meanwhile, and must not leave at its border, too
                await self.leave()
                self._leaves = False
        except ENDINGS:
            await _broken_off(working)
            raise
        await _broken_off(working)
        self._settle(working)

    @property
    def is_settled(self) -> bool:
        """Whether the session may continue as new here: between two turns, or where one waits for people alone."""
        calls = self._loop.calls
        return calls is None if not self._leaves else calls is not None and calls.wait_for_people

    def _may_leave(self) -> bool:
        """Whether the turn waits for people, and history is long: the next part of the session goes on waiting."""
        calls = self._loop.calls
        return calls is not None and self.long() and calls.wait_for_people

    def _begin(self, left: tuple[Message, ...]) -> None:
        """Begin a loop for what is said now, whose limits begin anew."""
        before = self._loop
        self.card = before.card  # it may have handed the conversation over
        self.agents.count_anew()
        self._turns += before.state.turns
        self._tool_calls += before.state.tool_calls
        self._compactions += before.state.compactions
        self._notes = [*self._notes, *before.notes][-NOTES_KEPT:]
        self._loop = self._made(LoopState(transcript=before.state.transcript, left=left), None)

    def _made(self, state: LoopState, started: float | None) -> AgentLoop:
        return AgentLoop(
            self.agents,
            self.step,
            self.card,
            schema=self.schema,
            limits=self.limits,
            started=started,
            state=state,
            wait_for_cost=True,
            border=self._border,
        )

    async def _border(self) -> None:
        """Before each turn: leave if history is long, and hear what was said meanwhile."""
        if self.long() and not self._leaves:
            await self.leave()
        if _was_cancelled() and (self.inbox.interrupting or is_recent()):
            raise asyncio.CancelledError
        if self.inbox.interrupting:
            await workflow.wait_condition(lambda: False)  # until it is cancelled, which is about to happen
        loop = self._loop
        if self.inbox.waiting and (heard := await self._heard()):
            self._turns += loop.state.turns
            self._compactions += loop.state.compactions
            loop.state.turns = loop.state.tokens = loop.state.compactions = 0
            loop.started = workflow.time()
            self.agents.count_anew()
            loop.task = (*loop.task, *heard)
            loop.state.left = with_parts(loop.state.left, heard)
        self._checkpoint = (loop.state.transcript, loop.state.left)
        if _was_cancelled() and is_recent():
            raise asyncio.CancelledError

    async def _heard(self) -> tuple[Part, ...]:
        """Take the messages that wait."""
        await self.inbox.keep_texts()
        taken = self.inbox.take()
        self._tell(f"works on {shown(self.inbox.working)}")
        return _parts(taken)

    def _settle(self, working: "asyncio.Task[LoopEnd]") -> None:
        """Account for what was worked on."""
        inbox, by = self.inbox, self.inbox.interrupted_by
        inbox.interrupting, inbox.interrupted_by = False, ""
        error = None if working.cancelled() else working.exception()
        if working.cancelled() or (error is not None and is_cancelled_exception(error)):
            inbox.settle(MessageState.INTERRUPTED, f"interrupted by {by}" if by else "interrupted")
            self._remark(INTERRUPTED)
        elif error is None:
            ended = working.result()
            self.answer = ended.content if ended.content.size else self.answer
            self.data = ended.data if ended.data is not None else self.data
            answer = ended.content if ended.content.size else None
            inbox.settle(MessageState.STOPPED if ended.stopped else MessageState.ANSWERED, ended.stopped, answer)
        elif not isinstance(error, FAILURES) or isinstance(error, HaltedError) or _ends(error):
            raise error
        else:
            inbox.settle(MessageState.FAILED, text_of(error))
            self._go_on_after(error)
        inbox.publish()

    def _go_on_after(self, error: BaseException) -> None:
        """Leave a conversation that can go on."""
        state = self._loop.state
        if kind_of(error) in SAID_IN_VAIN:
            state.transcript, state.left = self._checkpoint
            state.left = tuple(Message(answers=each.answers) for each in state.left if each.answers)
        self._remark(FAILED)

    def _remark(self, text: str) -> None:
        self._loop.state.left = with_parts(self._loop.state.left, (Part(text=text),))

    def _tell(self, note: str) -> None:
        self.agents.run.state.waits(self.step, f"{note} ({self.inbox.total} so far)")


def with_parts(left: tuple[Message, ...], parts: Sequence[Part]) -> tuple[Message, ...]:
    """Add parts to what opens the next turn, behind the answers of tools if there are any."""
    if not left or not parts:
        return left or (Message(parts=tuple(parts)),)
    return (*left[:-1], left[-1].model_copy(update={"parts": (*left[-1].parts, *parts)}))


def _parts(messages: Sequence[SaidMessage]) -> tuple[Part, ...]:
    """Return messages as the agent reads them: who speaks, where they said so, and what."""
    return tuple(part for each in messages for part in _said(each))


def _said(message: SaidMessage) -> tuple[Part, ...]:
    name = f"{message.by}: " if message.by else ""
    if message.text.ref is None:
        return (Part(text=f"{name}{message.text.text or ''}"),)
    return (*((Part(text=name),) if name else ()), Part.of(message.text))


def _was_cancelled() -> bool:
    """Whether this task was cancelled while what it waited for ended, which hid that: it will not be cancelled again."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _broken_off(working: "asyncio.Task[LoopEnd]") -> None:
    """Cancel what is under way, and wait until it has reported what it cost."""
    if not working.done():
        working.cancel()
        await finished([working])


def _ends(error: BaseException) -> bool:
    """Whether a failure ends the session: its budget is spent, or it was told to stop."""
    return kind_of(error) in (ErrorKind.BUDGET_REACHED, ErrorKind.ROLLED_BACK, ErrorKind.HALTED)
