"""Everything a report says of one run, as data: from its history, and from a worker's queries where one answers. Pure.

Tokens and USD come from the trace query alone, so that no two numbers on a page disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outlast.cli.printing import plain
from outlast.cli.recorded.reading import RunHistory
from outlast.cli.recorded.status import rows_of, traced
from outlast.cli.recorded.suspicions import Suspicion
from outlast.cli.recorded.why import whole
from outlast.cli.report.times import Spent, Stretch, added_up, critical_path, span, stretches
from outlast.contracts import CallTrace, Changes, DecisionLog, PlanChange, RunStatus, Spend, StepRow, Trace


@dataclass(frozen=True)
class WorkerAnswers:
    """What the queries of a run answered."""

    status: RunStatus
    trace: Trace
    decisions: DecisionLog
    changes: Changes


@dataclass(frozen=True)
class Outcome:
    """What a run came to: its answers by title, or why it failed, and how its plan was changed before it ran."""

    answers: tuple[tuple[str, str], ...] = ()
    failure: str = ""
    repairs: tuple[PlanChange, ...] = ()


@dataclass(frozen=True)
class Share:
    """What one agent on one model has cost; `failed` of its calls gave nothing usable."""

    agent: str
    model: str
    spend: Spend
    failed: int


@dataclass(frozen=True)
class Report:
    """One run: `times` are seconds added up by what they were spent on, `path` the steps that decided how long it took.

    `answers` are what came out, by title; `failure` is why nothing did.
    """

    run_id: str
    pattern: str
    state: str
    url: str
    began: datetime
    seconds: float
    running: bool
    rows: Mapping[str, StepRow]
    pieces: tuple[Stretch, ...]
    times: Mapping[Spent, float]
    path: tuple[str, ...]
    shares: tuple[Share, ...]
    suspicions: tuple[Suspicion, ...]
    repairs: tuple[PlanChange, ...]
    queried: WorkerAnswers | None
    parts: int
    events: int
    answers: tuple[tuple[str, str], ...] = ()
    failure: str = ""

    @property
    def warnings(self) -> tuple[Suspicion, ...]:
        """What went wrong, each once, but for the reasons that stand at the steps that failed or were skipped."""
        at_steps = {(name, f"{row.state}: {row.note}") for name, row in self.rows.items() if row.note}
        return tuple(one for one in dict.fromkeys(self.suspicions) if (one.step, one.what) not in at_steps)

    @property
    def spend(self) -> Spend:
        """What the run has cost, the query's own sum where there is one."""
        if self.queried is not None:
            return self.queried.status.spend
        total = Spend()
        for share in self.shares:
            total = total.plus(share.spend)
        return total

    def data(self) -> dict[str, Any]:
        """Return the numbers as JSON data."""
        return {
            "id": self.run_id,
            "pattern": self.pattern,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "running": self.running,
            "error": self.failure,
            "spend": plain(self.spend),
            "seconds_by": {str(spent): round(seconds, 3) for spent, seconds in self.times.items()},
            "critical_path": list(self.path),
            "shares": [
                {"agent": one.agent, "model": one.model, "failed": one.failed, "spend": plain(one.spend)}
                for one in self.shares
            ],
            "steps": [plain(row) for row in self.rows.values()],
            "suspicions": [{"step": one.step, "what": one.what, "fatal": one.fatal} for one in self.suspicions],
            "repairs": [plain(change) for change in self.repairs],
            "decisions": [plain(record) for record in self.queried.decisions.records] if self.queried else [],
            "changes": [plain(change) for change in self.queried.changes.changes] if self.queried else [],
        }


def report_of(
    run_id: str, kind: str, state: str, url: str, history: RunHistory, queried: WorkerAnswers | None,
    outcome: Outcome, now: datetime,
) -> Report:  # fmt: skip
    """Put a report together; without `queried`, steps and spend are what the history shows of them."""
    rows = {row.step: row for row in queried.status.steps} if queried else rows_of(history)
    pieces = stretches(history, now)
    began, took = span(history, now)
    fallbacks = queried.status.hops if queried else ()
    return Report(
        run_id=run_id,
        pattern=queried.status.pattern if queried else kind,
        state=str(queried.status.state) if queried else state,
        url=url,
        began=began,
        seconds=took.total_seconds(),
        running=history.ended is None,
        rows=rows,
        pieces=tuple(pieces),
        times=added_up(pieces),
        path=critical_path(rows),
        shares=_shares(queried.trace.calls if queried else traced(history)),
        suspicions=tuple(whole(history, rows, fallbacks)),
        repairs=outcome.repairs,
        queried=queried,
        parts=len(history.parts),
        events=sum(part.events for part in history.parts),
        answers=outcome.answers,
        failure=outcome.failure,
    )


def _shares(calls: Sequence[CallTrace]) -> tuple[Share, ...]:
    """Add up model calls by agent and model, the dearest first."""
    found: dict[tuple[str, str], Share] = {}
    for call in calls:
        if not call.tool:
            key = (call.agent, call.model)
            known = found.get(key, Share(*key, Spend(), 0))
            found[key] = Share(*key, known.spend.plus(call.spend), known.failed + (not call.success))
    return tuple(sorted(found.values(), key=lambda one: (-one.spend.usd, -one.spend.output_tokens, one.agent)))
