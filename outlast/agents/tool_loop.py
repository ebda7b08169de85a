"""The durable agent: model turn, tool calls, model turn, …, until it has an answer. Every turn and every call is an activity.

The conversation lives in the content store and travels as one reference. A tool's own error goes to the model; a tool
that cannot be reached is tried again first. Every tool call must be answered before the next turn, so even a loop
that is cancelled in the middle closes the calls that are open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from outlast.agents.answers import Check, LoopEnd, LoopState, checked
from outlast.agents.cards import AgentCards
from outlast.agents.delegation.handing import refusal, taken
from outlast.agents.model_calls import LENIENTLY, call_model
from outlast.agents.sessions import OpenTurn, SessionLimits
from outlast.agents.tool_calls import BROKEN_OFF, OpenCalls, unanswered
from outlast.agents.tool_gates import call_by_effect
from outlast.agents.transcript_activities import TranscriptActivities
from outlast.contracts import (
    AgentCard,
    AppendRequest,
    Content,
    Message,
    ModelRequest,
    ModelTurn,
    Part,
    StopReason,
    ToolAnswer,
    ToolCall,
    ToolCard,
    Toolset,
    Transcript,
)
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.gather import each
from outlast.undo.acts import Attempt
from outlast.workflow import journal, policies
from outlast.workflow.activity_calls import run_local
from outlast.workflow.failures import HaltedError

FULL = 0.75
"""Share of a model's window that a conversation may fill before it is summed up."""
CHARACTERS_WHEN_FULL = 1.5
"""Characters of tool results for each token of the window, where a conversation must be shortened to be summed up."""

SUM_UP = (
    "The conversation is getting too long. Sum up for yourself what the task is, what you have done and found out, with all "
    "names, figures and file paths that matter, and what remains to be done. You will go on from this summary alone."
)
CUT_OFF = "You were cut off by the token limit. Go on in smaller steps."
ANSWER_NOW = "You have no turns left. Give the best answer you can now, without tools."
MAX_PARALLEL_TOOLS = 8


@dataclass
class AgentLoop:
    """One agent with tools at work on one task; `pause` is asked before each turn and may raise to leave there.

    `border` is waited for there. `attempt` knows what earlier attempts at the step did, where there may be some.
    """

    agents: AgentCards
    step: str
    card: AgentCard
    schema: dict[str, Any] | None = None
    max_repairs: int = 2
    accept_invalid: bool = False
    wait_for_cost: bool = False
    check: Check | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)
    started: float | None = None
    state: LoopState = field(default_factory=LoopState)
    notes: list[str] = field(default_factory=list)
    pause: Callable[[], Awaitable[None]] | None = None
    border: Callable[[], Awaitable[None]] | None = None
    attempt: Attempt | None = None
    _toolset: Toolset = field(default_factory=Toolset, init=False)
    task: tuple[Part, ...] = field(default=(), init=False)
    calls: OpenCalls | None = field(default=None, init=False)
    _last: Content = field(default_factory=Content, init=False)
    _findings: list[Part] = field(default_factory=list, init=False)
    _next: str = field(default="", init=False)

    async def run(self, task: Sequence[Part]) -> LoopEnd:
        """Work until the agent answers or a limit is met; raises a non-retryable ApplicationError when the model gives up."""
        if self.card.tools or self.card.agents:
            self._toolset = await self.agents.toolset(self.card)
        self.task = tuple(task)
        self.started = journal.now("begun") if self.started is None else self.started
        if not self.state.turns and not self.state.left:
            self.state.left = (Message(parts=self.task),)
        if self.state.open is not None:  # an earlier part of the run ended in the middle of it
            await self._call_tools(self.state.open)
        while True:
            if self.pause is not None:
                await self.pause()
            if self.border is not None:
                await self.border()
            if stopped := self._limit():
                return self._end(stopped=stopped)
            turn = await self._turn()
            if turn is None:
                continue
            ended = await self._follow(turn)
            if ended is not None:
                return ended

    @property
    def left(self) -> tuple[Message, ...]:
        """What opens the next turn of whoever goes on from here: every call must have been answered."""
        return self.calls.closing(BROKEN_OFF) if self.calls else self.state.left

    def stop(self, why: str) -> LoopEnd:
        """End the loop where it is, with the agent's last words."""
        return self._end(stopped=why)

    def _limit(self) -> str:
        """Name the limit that is met, or say nothing."""
        assert self.started is not None
        if self.state.turns >= self.limits.turns:
            return f"its {self.limits.turns} turns are used up"
        if self.state.tokens >= self.limits.tokens:
            return f"its {self.limits.tokens} tokens are used up"
        if workflow.time() - self.started >= self.limits.seconds:
            return f"its {self.limits.seconds:g} seconds are over"
        return ""

    async def _turn(self) -> ModelTurn | None:
        """Make the next model turn; None when the conversation had to be summed up instead."""
        last = self.state.turns + 1 == self.limits.turns
        hurry = (Message(parts=(Part(text=ANSWER_NOW),)),) if last and self.state.turns else ()
        extra = (*self.state.left, *hurry)
        try:
            turn = await self._call(self._request(extra, tool_choice="none" if last else "auto"))
        except ActivityError as error:
            if kind_of(error) is not ErrorKind.CONTEXT_EXCEEDED or self.state.compactions >= self.limits.turns:
                raise
            await self._sum_up(shortened=True)
            return None
        self.state.left = ()
        self._last = turn.content if turn.content.size else self._last
        return turn

    async def _call(self, request: ModelRequest) -> ModelTurn:
        turn = await call_model(self.agents.run, self.step, self.card, request, wait_for_cost=self.wait_for_cost)
        self.state.turns += 1
        self.state.tokens += turn.usage.tokens
        if turn.findings is not None:
            self._findings.append(turn.findings)
        if turn.transcript is not None:
            count = (self.state.transcript.messages if self.state.transcript else 0) + len(request.messages) + 1
            self.state.transcript = Transcript(ref=turn.transcript, messages=count)
        return turn

    def _request(self, messages: tuple[Message, ...], **more: Any) -> ModelRequest:
        request = ModelRequest(
            agent=self.card.name,
            model=self.card.model,
            messages=messages,
            max_tokens=self.card.max_tokens,
            system=self.card.system,
            output_schema=self.schema,
            temperature=self.card.temperature,
            transcript=self.state.transcript.ref if self.state.transcript else None,
            keeps_transcript=True,
            toolset=self._toolset.specs if self._toolset.tools else None,
            web_searches=self.card.web_searches,
        )
        return request.model_copy(update=more)

    async def _follow(self, turn: ModelTurn) -> LoopEnd | None:
        """Do what the turn asks for; returns the end if it is one."""
        if turn.stop_reason is StopReason.REFUSAL:
            raise non_retryable(ErrorKind.MODEL_REFUSED, f"{self.card.model} refused to go on")
        if turn.stop_reason is StopReason.CONTEXT_EXCEEDED:
            await self._sum_up(shortened=True)
        elif turn.stop_reason is StopReason.TOOL_USE and turn.tool_calls:
            self.state.tool_calls += len(turn.tool_calls)
            await self._call_tools(OpenTurn(calls=turn.tool_calls, said=self._last, tokens=turn.usage.tokens))
        elif turn.stop_reason is StopReason.MAX_TOKENS and (turn.tool_calls or not turn.content.size):
            self._say(CUT_OFF)
        elif turn.stop_reason is not StopReason.PAUSE_TURN:
            return self._judged(turn)
        return None

    def _judged(self, turn: ModelTurn) -> LoopEnd | None:
        """Take the answer, or send it back when it breaks its schema."""
        wrong = turn.schema_errors or checked(turn, self.check)
        if turn.leniently:
            self.notes.append(f"{self.card.name}: {LENIENTLY} ({turn.leniently})")
        if not wrong or self.accept_invalid:
            return self._end(data=turn.data, wrong=wrong)
        if self.state.repairs >= self.max_repairs:
            raise non_retryable(
                ErrorKind.OUTPUT_INVALID, f"the answer breaks its schema after {self.max_repairs} repairs: {wrong[0]}"
            )
        self.state.repairs += 1
        self.notes.append(f"{self.card.name}: answer sent back ({wrong[0][:100]})")
        listed = "\n".join(f"- {problem}" for problem in wrong)
        self._say(f"That answer cannot be used:\n{listed}\nGive the whole answer again, corrected.")
        return None

    async def _call_tools(self, turn: OpenTurn) -> None:
        """Call the tools of a turn, as far as they have not answered, and do what comes of it."""
        self.calls = calls = OpenCalls(turn, self._toolset, self.agents.run, MAX_PARALLEL_TOOLS)
        self.state.left, self._next, self._last = (), calls.handed_to, turn.said
        await self._answers(calls)
        self.started = (self.started or 0.0) + calls.waited  # people's time is none of the agent's
        self.state.left = (Message(answers=calls.answers),)
        self.calls = self.state.open = None
        await self._hand_over()
        if self._is_full(turn.tokens):
            await self._sum_up()

    async def _answers(self, calls: OpenCalls) -> None:
        """Call the tools of one turn side by side; cancelled in the middle, it closes every call before it leaves."""

        async def one(call: str) -> None:
            calls.done[call] = await self._answer(calls.by_id[call])

        try:
            outcomes = await each(calls.left, one, max_parallel=MAX_PARALLEL_TOOLS)
        except (asyncio.CancelledError, HaltedError):
            self._next = ""
            await self._append(calls.closing("cancelled"))
            raise
        for outcome in outcomes.values():
            if outcome.error is not None:
                # Whoever goes on after this must find every call answered.
                self._next, self.state.left = "", calls.closing(text_of(outcome.error))
                self.calls = self.state.open = None
                raise outcome.error

    async def _answer(self, call: ToolCall) -> ToolAnswer:
        card = self._toolset.get(call.name)
        if card is None:
            names = ", ".join(tool.name for tool in self._toolset.tools)
            return unanswered(call, f"there is no tool {call.name!r}; there are {names}")
        if card.handoff:
            return self._handing(card, call)
        if card.agent:
            answer, note = await self.agents.delegate(self.step, self.card.name, card, call, self.attempt)
        else:
            answer, note = await call_by_effect(
                self.agents, self.step, self.card.name, card, call, self._toolset.specs, self.attempt, self._last
            )
        self.notes += [note] if note else []
        return answer

    def _handing(self, card: ToolCard, call: ToolCall) -> ToolAnswer:
        """Take note that the conversation goes to another agent, once all calls of this turn are answered."""
        if why := refusal(self._next, self.state.handoffs, card.agent):
            return unanswered(call, why)
        self._next = card.agent
        return taken(self.card.name, card, call)

    async def _hand_over(self) -> None:
        if self._next:
            origin, self.card = self.card, self.agents.card(self._next)
            has_tools = self.card.tools or self.card.agents
            self._toolset = await self.agents.toolset(self.card) if has_tools else Toolset()
            self.agents.run.trace.handed_over(self.step, origin.name, self._next)
            self.agents.run.state.done_by(self.step, agent=self._next)
            self.notes.append(f"the conversation was handed over to {self._next}")
            self.state.handoffs, self._next = self.state.handoffs + 1, ""

    def _is_full(self, tokens: int) -> bool:
        return tokens > (self.card.window - self.card.max_tokens) * FULL

    async def _sum_up(self, *, shortened: bool = False) -> None:
        """Replace the conversation by a summary of it."""
        self.state.compactions += 1
        characters = int(self.card.window * CHARACTERS_WHEN_FULL / self.state.compactions) if shortened else None
        asked = (*self.state.left, Message(parts=(Part(text=SUM_UP),)))
        request = self._request(asked, tool_choice="none", output_schema=None, context_characters=characters)
        turn = await self._call(request)
        self.notes.append(f"{self.card.name}: the conversation was summed up after {self.state.turns} turns")
        self.state.transcript = None
        self.state.left = (Message(parts=(*self.task, Part.of(turn.content, label="what you have done so far"))),)

    async def _append(self, messages: tuple[Message, ...]) -> None:
        self.state.transcript = await run_local(
            TranscriptActivities.append_messages,
            AppendRequest(transcript=self.state.transcript, messages=messages),
            **policies.local_call(f"{self.step} · close open calls"),
        )
        self.state.left, self.calls, self.state.open = (), None, None

    def _say(self, text: str) -> None:
        self.state.left = (Message(parts=(Part(text=text),)),)

    def _end(self, **fields: Any) -> LoopEnd:
        if stopped := fields.get("stopped"):
            self.notes.append(f"{self.card.name} stopped: {stopped}")
        return LoopEnd(content=self._last, notes=tuple(self.notes), findings=tuple(self._findings), **fields)
