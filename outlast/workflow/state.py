"""What steers a run: its steps, what is spent, whether it is paused, and how it ends.

Patterns and agents read it to decide what comes next. The trace is notified of every change, and decides nothing.
It lives in the workflow's memory and is rebuilt by replay, so it may use workflow time only.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from outlast.contracts import ArchivedPart, Content, Pause, Question, RunState, Spend, StepRow, StepState
from outlast.tracing.live_text import Streaming
from outlast.tracing.shortfall import Shortfall
from outlast.workflow.archive import Archive
from outlast.workflow.journal import catching_up

NOTE_LENGTH = 500


class Watcher(Protocol):
    """Observes the changes of a run."""

    def changed(self) -> None:
        """Hear that anything changed."""

    def step_began(self, row: StepRow) -> None:
        """Hear that a step began."""

    def step_ended(self, row: StepRow) -> None:
        """Hear that a step ended."""

    def step_dropped(self, row: StepRow) -> None:
        """Hear that a new plan left a step out."""

    def run_ended(self) -> None:
        """Hear that the run ended, in the phase that the state has now."""


class ExecutionState:
    """The state of one run."""

    def __init__(self) -> None:
        self.phase = RunState.RUNNING
        """How the run ends, once it does."""
        self.steps: dict[str, StepRow] = {}
        self.questions: dict[str, Question] = {}
        """What it asks people, as long as they may answer."""
        self.spend = Spend()
        self.paused: Pause | None = None
        self.is_ending = False
        """Whether its work has failed or was stopped: what is still under way reports, and nothing new starts."""
        self.tools = Shortfall()
        """The tools that agents name and lack; a run with any of them is not complete."""
        self.streaming: Streaming | None = None
        """Where its calls publish what the models write; None where they do not."""
        self.heartbeat = 10.0
        """Seconds between the heartbeats of the worker's activities."""
        self.webhooks = 0
        """How many addresses of the deployment hear of the run; known once agents were read or a gate has opened."""
        self.watcher: Watcher | None = None
        self.leaves: Callable[[], bool] = lambda: False
        """Asked wherever work begins: whether nothing new may start, because the run continues as new."""
        self.leaving = False
        """Whether it was told so: from then on the run only finishes what is at work."""
        self.archive = Archive()
        """Steps of earlier parts of the run of which it holds no more than their rows in short."""
        self._ended_before: set[str] = set()
        """Steps that ended in an earlier part of the run, and whose end is not repeated yet."""
        self.stand_ins: Mapping[str, str] = {}
        """Who does a step in place of its agent, by the step."""
        self._calls: Counter[str] = Counter()

    def restore(self, steps: Sequence[StepRow], archived: Sequence[ArchivedPart]) -> None:
        """Take over the steps of the parts before, as they were."""
        self.archive.restore(archived)
        self.steps = {row.step: row for row in steps}
        self._ended_before = {row.step for row in steps if row.ended is not None}
        self._changed()

    def unused(self, name: str) -> str:
        """Return a name that no step has yet: this one, or this one with a number."""
        numbered, number = name, 1
        while numbered in self.steps:
            number += 1
            numbered = f"{name} ({number})"
        return numbered

    def add(self, step: StepRow) -> None:
        """Announce a step."""
        if step.step in self.archive and (row := self.steps.get(step.step)):
            self.steps[step.step] = step.model_copy(update={"agent": row.agent, "state": row.state, "note": row.note})
            return
        # What a part before has announced stands as it was then; what is not there was replaced by a new plan since.
        if catching_up() or (step.step in self.steps and step.step in self._ended_before):
            return
        self.steps[step.step] = step
        self._changed()

    def waits(self, step: str, note: str) -> None:
        """Note on a step that has not begun what it waits for."""
        if catching_up():
            return
        self._update(step, {"note": note})

    def begin(self, step: str, agent: str | None = None) -> None:
        """Mark a step as running."""
        if step in self._ended_before or catching_up():
            return
        update: dict[str, Any] = {"state": StepState.RUNNING, "started": workflow.now()}
        if agent:
            update["agent"] = self.stand_ins.get(step, agent)
        self._update(step, update)
        if self.watcher is not None:
            self.watcher.step_began(self.steps[step])

    def done_by(self, step: str, run: str = "", agent: str = "") -> None:
        """Note which run does a step, or which agent goes on with it."""
        if not catching_up():
            self._update(step, ({"run": run} if run else {}) | ({"agent": agent} if agent else {}))

    def end(self, step: str, state: StepState, *, output: Content | None = None, note: str = "") -> None:
        """Mark a step as ended."""
        if catching_up():
            return
        if step in self._ended_before:
            self._ended_before.discard(step)
            return
        self._update(step, {"state": state, "ended": workflow.now(), "output": output, "note": note[:NOTE_LENGTH]})
        if self.watcher is not None:
            self.watcher.step_ended(self.steps[step])

    def forget(self, steps: Sequence[str]) -> None:
        """Drop steps that a new plan replaced."""
        if catching_up():
            return
        for step in steps:
            if (row := self.steps.pop(step, None)) and self.watcher is not None:
                self.watcher.step_dropped(row)

    def next_call(self, step: str) -> int:
        """Number the model calls of a step, from 0 on: the same numbers after a reset."""
        self._calls[step] += 1
        return self._calls[step] - 1

    def charge(self, spend: Spend) -> None:
        """Add what a model call cost."""
        self.spend = self.spend.plus(spend)

    def asks(self, question: Question) -> None:
        """Put a question to people."""
        self.questions[question.id] = question
        self._changed()

    def answered(self, question: str) -> None:
        """Take a question back, answered or not."""
        self.questions.pop(question, None)
        self._changed()

    def pause(self, pause: Pause | None) -> None:
        """Pause or resume the run."""
        self.paused = pause
        self._changed()

    def close(self, phase: RunState) -> None:
        """Mark the run as ended; one whose agents lacked tools is not complete."""
        self.phase = self.tools.judged(phase)
        if self.watcher is not None:
            self.watcher.run_ended()

    def broke_off(self, error: BaseException) -> None:
        """Mark a run that ends with this error as ended, unless it was closed before."""
        if self.phase is RunState.RUNNING:
            self.close(RunState.CANCELLED if is_cancelled_exception(error) else RunState.FAILED)

    def _update(self, step: str, update: dict[str, Any]) -> None:
        self.steps[step] = self.steps.get(step, StepRow(step=step)).model_copy(update=update)
        self._changed()

    def _changed(self) -> None:
        if self.watcher is not None:
            self.watcher.changed()
