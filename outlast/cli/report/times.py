"""Where the time of a run went, and which steps decided how long it took. Pure.

Steps run side by side, so times added up are more than the run took. Only the critical path says what would have
made it shorter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from outlast.cli.recorded.reading import Call, RunHistory
from outlast.contracts import StepRow

FOR_PEOPLE = ("gate-", "question-", "checkpoint")
"""How the summaries of timers begin that wait for a person."""


class Spent(StrEnum):
    """What a stretch of time was spent on."""

    QUEUE = "queue"
    """Wanted, and no worker had taken it yet."""
    RETRY = "retry"
    """Attempts that failed, and the waits after them."""
    MODEL = "model"
    TOOL = "tool"
    OTHER = "other activities"
    HUMAN = "human"


@dataclass(frozen=True)
class Stretch:
    """A stretch of time of one step, in what it was spent on."""

    step: str
    spent: Spent
    began: datetime
    ended: datetime
    text: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max((self.ended - self.began).total_seconds(), 0.0)


def stretches(history: RunHistory, now: datetime) -> list[Stretch]:
    """Cut all that the run did into stretches; what is unfinished ends with the run, or `now`."""
    end = history.ended or now
    found = [piece for call in history.calls for piece in _of_call(call, end)]
    found += [
        Stretch("", Spent.HUMAN, timer.event.started, timer.event.ended or end, timer.text)
        for timer in history.timers
        if timer.text.startswith(FOR_PEOPLE)
    ]
    return sorted(found, key=lambda piece: (piece.began, piece.ended))


def _of_call(call: Call, end: datetime) -> list[Stretch]:
    event = call.event
    kind = Spent.MODEL if call.is_model else Spent.TOOL if call.asked is not None else Spent.OTHER
    before = Spent.RETRY if event.attempt > 1 else Spent.QUEUE
    if event.started is None:
        return [Stretch(call.step, before, event.scheduled, event.ended or end, call.text)]
    return [
        Stretch(call.step, before, event.scheduled, event.started, call.text),
        Stretch(call.step, kind, event.started, event.ended or end, call.text),
    ]


def added_up(found: Sequence[Stretch]) -> dict[Spent, float]:
    """Add up the seconds by what they were spent on; several at once count each."""
    total = dict.fromkeys(Spent, 0.0)
    for piece in found:
        total[piece.spent] += piece.seconds
    return {spent: seconds for spent, seconds in total.items() if seconds}


def critical_path(rows: Mapping[str, StepRow]) -> tuple[str, ...]:
    """Name the chain of steps that decided when the last step ended, first to last; none where no step waits for another."""
    ended = {
        name: row.ended
        for name, row in rows.items()
        if row.ended is not None and row.started is not None and not row.within
    }
    if not ended or not any(row.depends_on for row in rows.values()):
        return ()
    path = [max(ended, key=lambda name: ended[name])]
    while True:
        before = [name for name in rows[path[-1]].depends_on if name in ended]
        if not before:
            return tuple(reversed(path))
        path.append(max(before, key=lambda name: ended[name]))


def span(history: RunHistory, now: datetime) -> tuple[datetime, timedelta]:
    """Return when the run began and how long it took, or has taken so far."""
    began = history.started or now
    return began, max((history.ended or now) - began, timedelta(milliseconds=1))
