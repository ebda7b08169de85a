"""One durable, tool-using agent on one task, alone; or in a conversation with people, message by message.

A session may run for days. So when its history grows, it continues as new with a reference to the conversation, and
a session that was cancelled leaves a conversation that a later one can go on from.
"""

from typing import Any

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ApplicationError

from outlast.agents.answers import LoopEnd, LoopState
from outlast.agents.conversation.inbox import Inbox
from outlast.agents.conversation.leaving import continue_conversation, steps_below
from outlast.agents.conversation.talk import Talk
from outlast.agents.sessions import (
    AgentSessionRequest,
    AgentSessionResult,
    ConversationView,
    EndAnswer,
    SayAnswer,
    SessionProgress,
)
from outlast.agents.tool_loop import AgentLoop
from outlast.contracts import AgentCard, Message, Part, RunState, Spend, StepRow, StepState
from outlast.errors import ErrorKind, kind_of, non_retryable, text_of
from outlast.workflow.activity_calls import is_long, is_recent
from outlast.workflow.base import AgentWorkflow
from outlast.workflow.border import in_own_task
from outlast.workflow.failures import ENDINGS
from outlast.workflow.handlers import after_local_calls
from outlast.workflow.keeping import keep_data

STEP = "session"
NOTES_CARRIED = 50


@workflow.defn
class AgentSessionWorkflow(AgentWorkflow[AgentSessionRequest, AgentSessionResult]):
    """Lets one agent work on one task until it answers or meets a limit."""

    versioning_behavior = VersioningBehavior.AUTO_UPGRADE
    """It may go on for days, and no build should have to be kept for it."""

    @workflow.init
    def __init__(self, request: AgentSessionRequest) -> None:
        super().__init__(request)
        self.state.paused = request.paused
        self.agents.allowed = request.allowed
        self._loop: AgentLoop | None = None
        self._talk: Talk | None = None
        self._no_agent: BaseException | None = None
        self._inbox = Inbox(self.trace, request.talk, takes=request.conversation)
        self._agent = self.agents.outcomes.agent_for(STEP, request.agent)
        self.gates.restore(request.gates)
        if request.conversation:
            self.people.answers.keys = self._inbox.keys
            self.gates.asked_by = self._inbox.asking
            self._restore(request)

    @workflow.run
    async def run(self, request: AgentSessionRequest) -> AgentSessionResult:
        """Run the loop; raises the typed cause when the model gives up, after what was changed is rolled back by policy."""
        if request.conversation:
            return await self._converse(request)
        await self.agents.read((request.agent,))
        self._loop = self._resumed(request)
        self._begin(request)
        try:
            ended = await self._loop.run((Part(text=request.task),) if request.task.strip() else ())
        except ENDINGS as error:
            if isinstance(error, ApplicationError) and kind_of(error) is ErrorKind.BUDGET_REACHED:
                ended = self._loop.stop(text_of(error))
            else:
                self.state.end(STEP, StepState.FAILED, note=text_of(error))
                raise
        if ended.stopped:
            await self.undo.roll_back(request.on_failure, ended.stopped)
        return await self._result(ended)

    @workflow.signal(name="say", description="Say something: a text, or {text, by, interrupt, key}")
    def say_signalled(self, *args: Any) -> None:
        """Take a message."""
        self._inbox.say_later(args)

    @workflow.update(name="say", description="The same, answered at once with the number of the message")
    @after_local_calls
    async def say(self, *args: Any) -> SayAnswer:
        """Take a message, and answer what came of it; one that begins the session hears whether there is such an agent."""
        answer = self._inbox.say(args)
        if self._talk is None and answer.accepted and is_recent():
            await workflow.wait_condition(lambda: self._talk is not None or self._inbox.ended)
            if self._no_agent is not None:
                raise non_retryable(kind_of(self._no_agent), text_of(self._no_agent))
        return answer

    @workflow.signal(name="end", description="End the conversation: nothing, your name, or {by, now}")
    def end_signalled(self, *args: Any) -> None:
        """End the conversation."""
        self._inbox.end(args)

    @workflow.update(name="end", description="The same, answered at once")
    @after_local_calls
    def end(self, *args: Any) -> EndAnswer:
        """End the conversation, and answer what came of it."""
        return self._inbox.end(args)

    @say.validator
    def check_message(self, *args: Any) -> None:
        """Refuse a message with the key of another one; raises InputInvalid that names the key."""
        self.check_size(*args)
        if why := self._inbox.mistaken(args):
            raise non_retryable(ErrorKind.INPUT_INVALID, why)

    end.validator(AgentWorkflow.check_size)

    @workflow.query(description="What was said in this session, and what came of each message")
    def conversation(self) -> ConversationView:
        """Return the conversation."""
        return self._inbox.view

    @workflow.query(description="How far the session is, and where a later one can go on")
    def progress(self) -> SessionProgress:
        """Return the progress of the session."""
        return self._progress()

    def _adopt(self, request: AgentSessionRequest) -> tuple[AgentCard, SessionProgress]:
        """Take over what the session has done that this one goes on from."""
        before = request.continues or SessionProgress()
        self._agent = before.agent or self._agent
        card = self.agents.card(self._agent)
        self.agents.asked_before = before.asked
        if before.toolset is not None:
            self.agents.adopt(card, before.toolset)
        self.undo.adopt(before.changes)
        self.state.spend = before.spend
        self.trace.fallbacks += before.hops
        return card, before

    def _begin(self, request: AgentSessionRequest) -> None:
        """Begin the step of the session, below which are those of agents that it asked."""
        self.state.add(StepRow(step=STEP, agent=self._agent, input=" ".join(request.task.split())[:200]))
        self.state.begin(STEP)
        for row in request.below:
            self.state.add(row)
        self.agents.asked_before -= len(request.below)  # they are counted by their steps

    def _restore(self, request: AgentSessionRequest) -> None:
        """Take over what messages of people may change before the run begins."""
        carried = request.talk
        self.people.answers.restore(carried.asked, carried.answers)
        self.people.restore(carried.questions)
        self.trace.notices = list(carried.notices)
        self.trace.earlier, self.gates.waits.seconds = carried.calls, carried.waited
        # A fork goes on from a conversation in which its task was said.
        heard = request.forked is not None and request.continues is not None and bool(request.continues.left)
        self._inbox.begin(request.task, request.requester, heard=heard)

    async def _converse(self, request: AgentSessionRequest) -> AgentSessionResult:
        """Answer messages until a person ends the session, or its budget is spent."""
        try:
            await self.agents.read((request.agent,), awaited=True)
            card, before = self._adopt(request)
            self._inbox.publish()  # the message that a fork has heard before
        except ENDINGS as error:
            self._no_agent = error
            self._inbox.give_up(text_of(error))
            raise
        self._talk = Talk(
            self.agents,
            STEP,
            card,
            self._inbox,
            request.limits,
            request.result_schema,
            before,
            request.talk,
            long=self._is_long,
            leave=self._leave,
        )
        self._begin(request)
        try:
            ended = await self._talk.run()
        except ENDINGS as error:
            if isinstance(error, ApplicationError) and kind_of(error) is ErrorKind.BUDGET_REACHED:
                ended = self._talk.stop(text_of(error))
            else:
                self.state.end(STEP, StepState.FAILED, note=text_of(error))
                raise
        return await self._result(ended)

    async def _leave(self) -> None:
        """Continue as new with the conversation; returns where something came up that is against it."""
        assert self._talk is not None
        await continue_conversation(self, self._talk, self._progress)

    def _resumed(self, request: AgentSessionRequest) -> AgentLoop:
        """Build the loop, with the conversation of the session that this one goes on from."""
        card, before = self._adopt(request)
        # A fork goes on from a conversation in which its task was said.
        says_task = before.transcript and request.task.strip() and request.forked is None
        task = (Message(parts=(Part(text=request.task),)),) if says_task else ()
        return AgentLoop(
            self.agents,
            STEP,
            card,
            schema=request.result_schema,
            limits=request.limits,
            started=before.started or None,
            state=LoopState(
                transcript=before.transcript,
                left=before.left or task,
                turns=before.turns,
                tool_calls=before.tool_calls,
                compactions=before.compactions,
                tokens=_tokens(before.spend),
                handoffs=before.handoffs,
            ),
            notes=list(before.notes),
            pause=self._continue_if_long,
        )

    async def _continue_if_long(self) -> None:
        """Leave before the next turn when history has grown long, and nothing is at work that would be dropped."""
        if self._is_long():
            await in_own_task()
        if not self._is_long() or not workflow.all_handlers_finished():
            return
        task = "" if self._loop and self._loop.state.turns else self.request.task
        onward = {
            "continues": self._progress(),
            "task": task,
            "gates": self.gates.carried(),
            "paused": self.state.paused,
            "budget": self.budget.carried,
            "below": steps_below(self.state.steps),
        }
        self.trace.continued()
        workflow.continue_as_new(
            self.request.model_copy(update=onward),
            initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
        )

    def _is_long(self) -> bool:
        return is_long() and not self.gates.notifier.pending

    def _progress(self) -> SessionProgress:
        if self._talk is not None:
            return self._changed_by(SessionProgress(**self._talk.progress()))
        if self._loop is None:
            return self.request.continues or SessionProgress()
        state = self._loop.state
        return self._changed_by(
            SessionProgress(
                transcript=state.transcript,
                left=self._loop.left,
                turns=state.turns,
                tool_calls=state.tool_calls,
                compactions=state.compactions,
                started=self._loop.started or 0.0,
                notes=tuple(self._loop.notes[-NOTES_CARRIED:]),
            )
        )

    def _changed_by(self, progress: SessionProgress) -> SessionProgress:
        """Add what the run itself knows."""
        loop = self._loop
        card = self._talk.speaker if self._talk is not None else loop.card if loop else self.agents.card(self._agent)
        known = {
            "toolset": self.agents.read_toolset(card),
            "agent": card.name if card.name != self.request.agent else "",
            "handoffs": loop.state.handoffs if loop else 0,
            "asked": self.agents.asked,
            "spend": self.state.spend,
            "hops": tuple(self.trace.fallbacks),
            "changes": self.undo.changes,
        }
        return progress.model_copy(update=known)

    async def _result(self, ended: LoopEnd) -> AgentSessionResult:
        self.state.end(STEP, StepState.DONE, output=ended.content, note="; ".join(ended.notes))
        self.state.close(RunState.PARTIAL if ended.stopped else RunState.COMPLETED)
        return AgentSessionResult(
            state=self.state.phase,
            answer=ended.content,
            stopped=ended.stopped,
            report=await self.keep_report(),
            progress=self._progress(),
            data=await keep_data(ended.data, "keep the data") if ended.data is not None else None,
            spend=self.state.spend,
            conversation=self._inbox.view if self.request.conversation else None,
        )


def _tokens(spend: Spend) -> int:
    return spend.input_tokens + spend.output_tokens + spend.cache_read_tokens + spend.cache_write_tokens
