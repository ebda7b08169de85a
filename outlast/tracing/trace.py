"""What a run reports of itself: its calls, its spans, and what it shows to people while it runs; nothing here steers it.

The queries, the report and the Web UI's current details all read from it. It lives in the workflow's memory and is rebuilt by
replay, so it may use workflow time only.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from temporalio import workflow

from outlast.contracts import (
    SUMMARY_LENGTH,
    Approval,
    BudgetShown,
    CallTrace,
    FallbackTaken,
    GateView,
    ModelFailure,
    ModelRequest,
    ModelTurn,
    RunReport,
    RunStatus,
    Spend,
    StandingApproval,
    StepOutcomes,
    StepRow,
    StepState,
    ToolResult,
    Trace,
    Usage,
    WaitsBelow,
)
from outlast.tracing.details import ROWS_SHOWN, details
from outlast.tracing.indexing import index_end
from outlast.tracing.rows import page, room, that_fit
from outlast.tracing.run_metrics import count
from outlast.tracing.spans import StepSpans, annotate
from outlast.workflow.state import ExecutionState

NOTICES_KEPT = 20
NOTHING = Spend()


class RunTrace:
    """The trace of one run: it follows what happens in `state` and changes none of it."""

    def __init__(self, pattern: str, state: ExecutionState) -> None:
        self.pattern = pattern
        self.calls: list[CallTrace] = []
        self.spans = StepSpans()
        self.notices: list[str] = []
        self.fallbacks: list[FallbackTaken] = []
        self.rollback = ""
        self.forked = ""
        self.gates: tuple[GateView, ...] = ()
        self.below: dict[str, WaitsBelow] = {}
        """What waits for people in the runs of agents that were asked, by workflow id."""
        self.standing: tuple[StandingApproval, ...] = ()
        self.budget: BudgetShown | None = None
        self.earlier: tuple[str, ...] = ()
        """Keys of the traces of the parts of the run before, in the content store."""
        self.spent_by: dict[str, Spend] = {}
        self._state = state
        self._stale = False
        state.watcher = self

    def step_began(self, row: StepRow) -> None:
        """Open the span of a step."""
        self.spans.begin(row)

    def step_ended(self, row: StepRow) -> None:
        """Close the span of a step, and count it."""
        self.spans.end(row)
        count("agent_steps", pattern=self.pattern, state=row.state)
        workflow.logger.info("step %s is %s", row.step, row.state, extra={"step": row.step})

    def step_dropped(self, row: StepRow) -> None:
        """Close the span of a step that a new plan replaced."""
        self.spans.leave({row.step: row}, "replaced")

    def run_ended(self) -> None:
        """Close all spans, index how the run ended, and count it."""
        self.continued(self._state.phase)
        index_end(self._state.phase, self._state.spend.usd)
        count("agent_runs", pattern=self.pattern, state=self._state.phase)
        workflow.logger.info("the run is %s", self._state.phase)
        self.changed()

    def continued(self, how: str = "continued") -> None:
        """Close the spans that are open, because the run ends here or continues as new."""
        self.spans.leave(self._state.steps, how)

    def call_done(self, step: str, asked: ModelRequest, turn: ModelTurn, waited: timedelta) -> Spend:
        """Record a model call that gave an answer, usable or not; returns what it cost."""
        return self._call(
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

    def call_failed(
        self, step: str, asked: ModelRequest, failure: ModelFailure, error: str, waited: timedelta
    ) -> Spend:
        """Record a model call that failed for good; returns what it cost all the same."""
        return self._call(
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
        self,
        step: str,
        agent: str,
        tool: str,
        arguments: str,
        result: ToolResult | None,
        error: str,
        waited: timedelta,
        approval: Approval | None = None,
    ) -> None:
        """Record a tool call: its result (which may be the tool's own error), or the error that ended it; and who approved it."""
        output = result.content.summary or (result.content.text or "") if result else ""
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
                output=output[:SUMMARY_LENGTH],
                error=error[:SUMMARY_LENGTH],
                approved=approval.description[:SUMMARY_LENGTH] if approval is not None else "",
            )
        )

    def fell_back(self, step: str, origin: str, target: str, reason: str) -> None:
        """Record a change to a fallback."""
        self.fallbacks.append(FallbackTaken(step=step, origin=origin, target=target, reason=reason[:SUMMARY_LENGTH]))
        count("agent_fallbacks", pattern=self.pattern, origin=origin)
        workflow.logger.info("%s failed, so %s is asked", origin, target[:80], extra={"step": step})

    def rolls_back(self, summary: str) -> None:
        """Show how far a rollback is."""
        self.rollback = summary
        self.changed()

    def waits_at(self, gates: Sequence[GateView], standing: Sequence[StandingApproval] = ()) -> None:
        """Show the gates that wait for people and the approvals that stand, in place of those shown before."""
        self.gates, self.standing = tuple(gates), tuple(standing)
        self.changed()

    def waits_below(self, run: str, waits: WaitsBelow | None = None) -> None:
        """Show what waits for people in the run of an agent that was asked; None: nothing does any more."""
        self.below.pop(run, None)
        if waits is not None and (waits.gates or waits.questions or waits.below):
            self.below[run] = waits
        self.changed()

    def told_of_waits(self, arguments: Sequence[Any]) -> WaitsBelow | None:
        """Hear from such a run what waits there, as long as it is at work; all else is shown at most, and changes nothing."""
        try:
            waits = WaitsBelow.model_validate(arguments[0] if len(arguments) == 1 else None)
        except ValueError:
            waits = None
        row = next((row for row in self._state.steps.values() if waits and waits.run and row.run == waits.run), None)
        if waits is None or row is None:
            self.notice("delegate_waits: only a run that this one has started for an agent says what waits there")
        elif row.state is StepState.RUNNING:  # else that run has ended, and this was overtaken by its end
            self.waits_below(waits.run, waits)
        return waits if row is not None and row.state is StepState.RUNNING else None

    def spent_below(self, step: str, spend: Spend) -> None:
        """Count what the run of an agent that was asked has cost."""
        self.spent_by[step] = self.spent(step).plus(spend)

    def handed_over(self, step: str, origin: str, target: str) -> None:
        """Record that an agent handed its conversation over."""
        self.fallbacks.append(
            FallbackTaken(step=step, origin=origin, target=target, reason="it goes on with it", handoff=True)
        )

    def stands(self, budget: BudgetShown | None) -> None:
        """Show how the run stands with its budget."""
        self.budget = budget
        self.changed()

    def _call(
        self, step: str, asked: ModelRequest, waited: timedelta, usage: Usage, usd: float, **fields: Any
    ) -> Spend:
        spend = Spend(
            calls=1,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            usd=usd,
        )
        texts = [part for message in asked.messages[:1] for part in message.parts if part.text]
        # What is asked says more of a call than the material it comes with.
        first = next((part.text for part in [*(part for part in texts if not part.label), *texts]), None) or ""
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
        return spend

    def _keep(self, call: CallTrace) -> None:
        self.calls.append(call)
        if not call.tool:
            self.spent_by[call.step] = self.spent(call.step).plus(call.spend)
        annotate(call)

    def notice(self, text: str) -> None:
        """Keep a message that could not be understood where people see it."""
        self.notices = [*self.notices, text[:SUMMARY_LENGTH]][-NOTICES_KEPT:]
        self.changed()

    def spent(self, step: str) -> Spend:
        """Return what the model calls of a step cost."""
        return self.spent_by.get(step, NOTHING)

    def status(self, most: int | None = None) -> RunStatus:
        """Answer the `status` query; with the first steps alone where there are more than `most`."""
        state = self._state
        steps = state.steps.values()
        rows = that_fit(steps, room()) if most is None else tuple(islice(steps, most))
        return RunStatus(
            workflow_id=workflow.info().workflow_id,
            pattern=self.pattern,
            state=state.phase,
            steps=rows,
            spend=state.spend,
            notices=tuple(self.notices),
            hops=tuple(self.fallbacks),
            questions=tuple(state.questions.values()),
            rollback=self.rollback,
            gates=self.gates,
            standing=self.standing,
            paused=state.paused,
            budget=self.budget,
            tools_missing=state.tools.missing,
            tools_changed=state.tools.changed[-NOTICES_KEPT:],
            forked=self.forked,
            below=tuple(self.below.values()),
            earlier=state.archive.refs,
            left_out=0 if most is not None else len(steps) - len(rows),
        )

    def steps(self, given: Sequence[object]) -> StepOutcomes:
        """Answer the `steps` query."""
        return page(self._state.steps.values(), given, room())

    def all_calls(self) -> Trace:
        """Answer the `trace` query."""
        return Trace(calls=tuple(self.calls), budget=self.budget, earlier=self.earlier)

    def report(self) -> RunReport:
        """Return all that is kept of a run when it ends."""
        return RunReport(steps=tuple(self._state.steps.values()), trace=self.all_calls(), hops=tuple(self.fallbacks))

    def changed(self) -> None:
        """Show the run once the changes of this moment are made: rendering at each one cost more than the steps did."""
        if not self._stale:
            self._stale = True
            asyncio.get_running_loop().call_soon(self._render)

    def _render(self) -> None:
        self._stale = False
        workflow.set_current_details(details(self.status(ROWS_SHOWN), len(self._state.steps)))
