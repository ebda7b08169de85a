"""What a run remembers of itself: steps, model calls, spend, and what it shows to people while it runs.

One `RunLog` per run, fed by every move; the queries, the report and the Web UI's current details all read from it. The
trap: it lives in the workflow's memory and is rebuilt by replay, so it may use workflow time only.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from outlast.budget.metering import count
from outlast.contracts import (
    SUMMARY_LENGTH,
    BudgetShown,
    CallTrace,
    Content,
    GateView,
    Hop,
    ModelFailure,
    ModelRequest,
    ModelTurn,
    Pause,
    Question,
    RunReport,
    RunState,
    RunStatus,
    Spend,
    StepRow,
    StepState,
    ToolResult,
    Trace,
    Usage,
)
from outlast.tracing.details import details
from outlast.tracing.indexing import index_end
from outlast.tracing.live_text import Streaming
from outlast.tracing.shortfall import Shortfall
from outlast.tracing.spans import StepSpans, tell

NOTICES_KEPT = 20


class RunLog:
    """The record of one run."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.state = RunState.RUNNING
        self.spend = Spend()
        self.steps: dict[str, StepRow] = {}
        self.calls: list[CallTrace] = []
        self.spans = StepSpans()
        self.notices: list[str] = []
        self.hops: list[Hop] = []
        self.questions: dict[str, Question] = {}
        self.rollback = ""
        self.gates: tuple[GateView, ...] = ()
        self.paused: Pause | None = None
        self.budget: BudgetShown | None = None
        self.streaming: Streaming | None = None
        self.tools = Shortfall()
        self._stale = False

    def add(self, step: StepRow) -> None:
        """Announce a step."""
        self.steps[step.step] = step
        self._show()

    def waits(self, step: str, note: str) -> None:
        """Say of a step that has not begun what it waits for."""
        self._update(step, {"note": note})

    def begin(self, step: str, agent: str | None = None) -> None:
        """Mark a step as running."""
        update: dict[str, Any] = {"state": StepState.RUNNING, "started": workflow.now()}
        if agent:
            update["agent"] = agent
        self._update(step, update)
        self.spans.begin(self.steps[step])

    def end(self, step: str, state: StepState, *, output: Content | None = None, note: str = "") -> None:
        """Mark a step as ended."""
        self._update(step, {"state": state, "ended": workflow.now(), "output": output, "note": note[:500]})
        self.spans.end(self.steps[step])
        count("agent_steps", pattern=self.pattern, state=state)
        workflow.logger.info("step %s is %s", step, state, extra={"step": step})

    def forget(self, steps: Sequence[str]) -> None:
        """Drop steps that a new plan replaced."""
        for step in steps:
            if row := self.steps.pop(step, None):
                self.spans.leave({step: row}, "replaced")

    def call_done(self, step: str, asked: ModelRequest, turn: ModelTurn, waited: timedelta) -> None:
        """Record a model call that gave an answer, usable or not."""
        self._call(
            step,
            asked,
            waited,
            turn.usage.plus(turn.wasted),
            turn.usd + turn.wasted_usd,
            success=not turn.schema_errors,
            attempt=turn.attempt,
            output=turn.content.summary or (turn.content.text or "")[:SUMMARY_LENGTH],
            error="; ".join(turn.schema_errors)[:SUMMARY_LENGTH],
            request_id=turn.request_id,
        )

    def call_failed(self, step: str, asked: ModelRequest, failure: ModelFailure, error: str, waited: timedelta) -> None:
        """Record a model call that failed for good."""
        self._call(
            step,
            asked,
            waited,
            failure.usage,
            failure.usd,
            success=False,
            error=error[:SUMMARY_LENGTH],
            request_id=failure.request_id,
        )

    def tool_called(
        self, step: str, agent: str, tool: str, arguments: str, result: ToolResult | None, error: str, waited: timedelta
    ) -> None:
        """Record a tool call: its result (which may be the tool's own error), or the error that ended it."""
        said = result.content.summary or (result.content.text or "") if result else ""
        self._keep(
            CallTrace(
                workflow_id=workflow.info().workflow_id,
                step=step,
                agent=agent,
                model="",
                tool=tool,
                started=workflow.now() - waited,
                ms=round(waited.total_seconds() * 1000),
                success=result is not None and not result.failed,
                attempt=result.attempt if result else 1,
                input=arguments[:SUMMARY_LENGTH],
                output=said[:SUMMARY_LENGTH],
                error=error[:SUMMARY_LENGTH],
            )
        )

    def hop(self, step: str, origin: str, target: str, reason: str) -> None:
        """Record a change to a fallback."""
        self.hops.append(Hop(step=step, origin=origin, target=target, reason=reason[:SUMMARY_LENGTH]))
        count("agent_fallbacks", pattern=self.pattern, origin=origin)
        workflow.logger.info("%s failed, so %s is asked", origin, target[:80], extra={"step": step})

    def asks(self, question: Question) -> None:
        """Show a question to people."""
        self.questions[question.id] = question
        self._show()

    def rolls_back(self, summary: str) -> None:
        """Show how far a rollback is."""
        self.rollback = summary
        self._show()

    def answered(self, question: str) -> None:
        """Take a question back, answered or not."""
        self.questions.pop(question, None)
        self._show()

    def waits_at(self, gates: Sequence[GateView]) -> None:
        """Show the gates that wait for people, in place of those shown before."""
        self.gates = tuple(gates)
        self._show()

    def pauses(self, pause: Pause | None) -> None:
        """Show that the run is paused, or goes on."""
        self.paused = pause
        self._show()

    def stands(self, budget: BudgetShown | None) -> None:
        """Show how the run stands with its budget."""
        self.budget = budget
        self._show()

    def _call(self, step: str, asked: ModelRequest, waited: timedelta, usage: Usage, usd: float, **fields: Any) -> None:
        spend = Spend(
            calls=1,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            usd=usd,
        )
        self.spend = self.spend.plus(spend)
        said = [part for message in asked.messages[:1] for part in message.parts if part.text]
        # What is asked says more of a call than the material it comes with.
        first = next((part.text for part in [*(part for part in said if not part.label), *said]), None) or ""
        self._keep(
            CallTrace(
                workflow_id=workflow.info().workflow_id,
                step=step,
                agent=asked.agent,
                model=asked.model,
                started=workflow.now() - waited,
                ms=round(waited.total_seconds() * 1000),
                input=" ".join(first.split())[:SUMMARY_LENGTH],
                spend=spend,
                **fields,
            )
        )

    def _keep(self, call: CallTrace) -> None:
        self.calls.append(call)
        tell(call)

    def notice(self, text: str) -> None:
        """Keep a message that could not be understood where people see it."""
        self.notices = [*self.notices, text[:SUMMARY_LENGTH]][-NOTICES_KEPT:]
        self._show()

    def status(self) -> RunStatus:
        """Answer the `status` query."""
        return RunStatus(
            workflow_id=workflow.info().workflow_id,
            pattern=self.pattern,
            state=self.state,
            steps=tuple(self.steps.values()),
            spend=self.spend,
            notices=tuple(self.notices),
            hops=tuple(self.hops),
            questions=tuple(self.questions.values()),
            rollback=self.rollback,
            gates=self.gates,
            paused=self.paused,
            budget=self.budget,
            tools_missing=self.tools.missing,
            tools_changed=self.tools.changed[-NOTICES_KEPT:],
        )

    def trace(self) -> Trace:
        """Answer the `trace` query."""
        return Trace(calls=tuple(self.calls), budget=self.budget)

    def report(self) -> RunReport:
        """Return all that is kept of a run when it ends."""
        return RunReport(steps=tuple(self.steps.values()), trace=self.trace(), hops=tuple(self.hops))

    def close(self, state: RunState) -> None:
        """Mark the run as ended; one whose agents lacked tools is not complete."""
        self.state = state = self.tools.judged(state)
        self.spans.leave(self.steps, state)
        index_end(state, self.spend.usd)
        count("agent_runs", pattern=self.pattern, state=state)
        workflow.logger.info("the run is %s", state)
        self._show()

    def broke_off(self, error: BaseException) -> None:
        """Mark a run that ends with this error as ended, unless it has said itself how it ended."""
        if self.state is RunState.RUNNING:
            self.close(RunState.CANCELLED if is_cancelled_exception(error) else RunState.FAILED)

    def _update(self, step: str, update: dict[str, Any]) -> None:
        self.steps[step] = self.steps.get(step, StepRow(step=step)).model_copy(update=update)
        self._show()

    def _show(self) -> None:
        """Show the log once the changes of this moment are made: rendering at each one cost more than the steps did."""
        if not self._stale:
            self._stale = True
            asyncio.get_running_loop().call_soon(self._render)

    def _render(self) -> None:
        self._stale = False
        workflow.set_current_details(details(self.status()))
