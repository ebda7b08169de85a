"""One agent asks another as it calls a tool: the call is a step of its own, below the step that asks.

An agent without tools answers in the same run. One with tools works in a run of its own (`workflow.py`): it is lent a share of
the budget, has the same policies, and what it changed, spent and was denied is taken over when it has ended, however it did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, FailureError

from outlast.agents.answers import Answer
from outlast.agents.delegation.own_run import Asking, OwnRun, is_cancelled
from outlast.agents.outcomes import digest_of_ask
from outlast.agents.tool_calls import FINAL, RAISED, unanswered
from outlast.approvals.pausing import unpaused
from outlast.contracts import (
    GateState,
    Part,
    StepRow,
    StepState,
    ToolAnswer,
    ToolCall,
    ToolCard,
    ToolResult,
)
from outlast.errors import ErrorKind, kind_of, text_of
from outlast.undo.acts import Attempt
from outlast.workflow import journal
from outlast.workflow.activity_calls import note_length
from outlast.workflow.failures import ENDINGS, halted


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
        self.own = OwnRun(agents, step, asker, card.agent, self.name, call.id)

    async def made(self) -> _Delegated:
        """Make the call; whatever goes wrong with it becomes something the model can read, but for what ends the run."""
        state = self.run.state
        parts = _parts(self.call)
        while self._too_many() and self.agents.set_aside:  # what those at work do not use comes back
            await workflow.wait_condition(lambda: not (self._too_many() and self.agents.set_aside))
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
            ToolAnswer(id=self.call.id, content=Part.of(answer.content)), "", self.own.denied, tuple(self.own.changes)
        )

    def _refused(self) -> str:
        """Say why the agent may not be asked, or nothing."""
        limits = self.agents.request.delegation
        if limits.depth < 1:
            return f"{self.card.agent} was not asked: agents may ask one another no deeper than this; do it yourself"
        if self._too_many():
            return f"{self.card.agent} was not asked: this run has asked {limits.count} agents, which is the most; go on alone"
        return ""

    def _too_many(self) -> bool:
        """Whether the count of agents that may be asked is used up, or set aside for runs that are at work."""
        mine = self.name in self.run.state.steps
        return self.agents.asked - mine >= self.agents.request.delegation.count

    def _failed(self, error: BaseException) -> _Delegated:
        """Tell the model of a failure; raises what ends the run."""
        if not isinstance(error, FailureError) or is_cancelled():
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
        return _Delegated(answer, text[:200], self.own.denied, tuple(self.own.changes))

    async def _answer(self, parts: Sequence[Part]) -> Answer:
        card = self.agents.card(self.card.agent)
        if not (card.tools or card.agents):
            return await self.agents.ask_within(self.name, card.name, parts, wait_for_cost=True)
        asked = digest_of_ask(card.name, parts)
        answer = await self.agents.outcomes.take(self.name, asked)
        if answer is None:
            # A run continues as new, and rolls back, only once this has ended and is taken over.
            with journal.at_work(), self.run.undo.at_work():
                found = await self.own.result(parts)
            note_length()
            answer = Answer(found.answer, found.agent or card.name, notes=found.notes)
        self.agents.outcomes.keep(self.name, asked, answer)
        return answer

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
