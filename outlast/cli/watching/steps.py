"""What one look at a run gives: each step with its state in people's words, its attempts and what it has cost. Pure.

The run's own state knows steps but not their money, and its trace knows ended calls but not those at work. Only
both together, with the attempts that the server counts, say where a run is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outlast.contracts import CallTrace, RunStatus, Spend, StepRow, StepState, Trace

ENDED = (StepState.DONE, StepState.FAILED, StepState.SKIPPED)


@dataclass(frozen=True)
class Retry:
    """A call that is tried again: of which step ("" where that is not known), what it is, which attempt, and why."""

    step: str
    what: str
    attempt: int
    reason: str


@dataclass(frozen=True)
class StepSeen:
    """A step in people's words: waiting, ready, running, done, failed, skipped, blocked (what it needs did not come)."""

    row: StepRow
    word: str
    attempts: int
    spend: Spend


@dataclass(frozen=True)
class Look:
    """A run at one moment."""

    status: RunStatus
    steps: tuple[StepSeen, ...]
    retries: tuple[Retry, ...] = ()
    waits: tuple[str, ...] = ()
    """What calls wait for in place, a line each."""

    @property
    def progress(self) -> str:
        """How many steps of the run have ended well."""
        done = sum(row.state is StepState.DONE for row in self.status.steps)
        return f"{done} of {len(self.status.steps)} steps"


def look_at(status: RunStatus, trace: Trace, retries: Sequence[Retry] = (), waits: Sequence[str] = ()) -> Look:
    """Put together what the run and the server say."""
    states = {row.step: row.state for row in status.steps}
    calls: dict[str, list[CallTrace]] = {}
    for call in trace.calls:
        calls.setdefault(call.step, []).append(call)
    unlisted = [_called(step, made) for step, made in calls.items() if step not in states]
    seen = [
        StepSeen(
            row, _word(row, states), _attempts(calls.get(row.step, ()), row.step, retries), _spent(calls, row.step)
        )
        for row in [*unlisted, *status.steps]
    ]
    return Look(status, tuple(seen), tuple(retries), tuple(waits))


def _called(step: str, calls: Sequence[CallTrace]) -> StepRow:
    """Make a row of a step that the run does not list, such as the writing of its plan."""
    agent = next((call.agent for call in calls if call.agent), "")
    return StepRow(step=step, agent=agent, state=StepState.DONE, started=min(call.started for call in calls))


def _word(row: StepRow, states: dict[str, StepState]) -> str:
    if row.state is StepState.SKIPPED and any(
        states.get(one) in (StepState.FAILED, StepState.SKIPPED) for one in row.depends_on
    ):
        return "blocked"
    if row.state is not StepState.PENDING:
        return str(row.state)
    return "ready" if all(states.get(one) is StepState.DONE for one in row.depends_on) and not row.note else "waiting"


def _attempts(calls: Sequence[CallTrace], step: str, retries: Sequence[Retry]) -> int:
    return sum(call.attempt for call in calls) + sum(retry.attempt for retry in retries if retry.step == step)


def _spent(calls: dict[str, list[CallTrace]], step: str) -> Spend:
    total = Spend()
    for call in calls.get(step, ()):
        total = total.plus(call.spend)
    return total
