"""What is wrong with a step as far as its calls show it: failures, repeats, cuts, refusals. Pure.

A run can be wrong without any error. So everything that made a call less than it was meant to be is named, and
the text of a tool or a model is shown beside it, for a person to judge.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from outlast.cli.recorded.events import Ended
from outlast.cli.recorded.reading import Call, RunHistory
from outlast.contracts import (
    CUT_NOTE,
    TAKEN_NOTE,
    FallbackTaken,
    ModelRequest,
    StepRow,
    StepState,
    StopReason,
    ToolRequest,
)

ODD_SHOWN = 200
ENDED_BY_HAND = {Ended.DONE: "completed", Ended.FAILED: "failed", Ended.CANCELLED: "cancelled"}

WHOLE_RUN = "-"
"""What stands in the place of a step where something is wrong with the whole run."""
FROM_STEP = "step "
"""How the label of a part begins that is the answer of another step."""

CUT = (StopReason.MAX_TOKENS, StopReason.CONTEXT_EXCEEDED)


@dataclass(frozen=True)
class Suspicion:
    """One thing that went wrong at a step, or in the run as a whole, in words; `fatal` if the step, call or run ended by it."""

    step: str
    what: str
    fatal: bool = False

    @property
    def where(self) -> str:
        """Where it went wrong, in words."""
        return "the run" if self.step == WHOLE_RUN else f"step {self.step}"


def origins(calls: Sequence[Call]) -> tuple[str, ...]:
    """Name the steps whose answers were put before the model, in the order in which it saw them."""
    named: dict[str, None] = {}
    for call in calls:
        if isinstance(call.asked, ModelRequest):
            for message in call.asked.messages:
                for part in message.parts:
                    if part.label.startswith(FROM_STEP):
                        named[part.label.removeprefix(FROM_STEP)] = None
    return tuple(named)


def upstream(history: RunHistory, step: str, rows: Mapping[str, StepRow]) -> tuple[str, ...]:
    """List the steps that a step was made of, nearest first, each once."""
    seen: dict[str, None] = {}
    todo = [step]
    while todo:
        at = todo.pop(0)
        before = (*(rows[at].depends_on if at in rows else ()), *origins(history.of(at)))
        fresh = [one for one in dict.fromkeys(before) if one not in seen and one != step]
        seen |= dict.fromkeys(fresh)
        todo += fresh
    return tuple(seen)


def suspicions(
    history: RunHistory, step: str, row: StepRow | None, fallbacks: Sequence[FallbackTaken] = ()
) -> list[Suspicion]:
    """Return everything that went wrong at one step, in order."""
    calls = history.of(step)
    found = [Suspicion(step, what, fatal) for call in calls for what, fatal in _of_call(call)]
    found += [Suspicion(step, what) for what in _never_called(calls)]
    found += [
        Suspicion(
            step,
            f"{taken.origin} {'handed over to' if taken.handoff else 'was given up for'} {taken.target}: {taken.reason}",
        )
        for taken in fallbacks
        if taken.step == step
    ]
    if row is not None and row.state in (StepState.FAILED, StepState.SKIPPED):
        found.append(Suspicion(step, f"{row.state}: {row.note or 'without a reason'}", fatal=True))
    elif row is not None and row.note and row.state is StepState.DONE:  # before, a note tells what goes on
        # The call that was cut off is named already, with its tokens.
        cut = any(call.turn is not None and call.turn.stop_reason in CUT for call in calls)
        notes = [
            note
            for note in row.note.split("; ")
            if not (cut and note.endswith(CUT_NOTE)) and not note.startswith(TAKEN_NOTE)
        ]
        found += [Suspicion(step, "; ".join(notes))] if notes else []
    return found


def failure(why: str) -> list[Suspicion]:
    """Return how the run itself failed: before its first step, for instance, where no step can tell."""
    return [Suspicion(WHOLE_RUN, f"failed: {why}", fatal=True)] if why else []


def lacking(history: RunHistory) -> list[Suspicion]:
    """Return which tools agents named and lacked."""
    return [
        Suspicion(WHOLE_RUN, f"{call.text.removeprefix('read the tools of ')} lacks a tool that it names: {name}")
        for call in history.calls
        if call.toolset is not None
        for name in call.toolset.missing
    ]


def _of_call(call: Call) -> Iterator[tuple[str, bool]]:
    event, who = call.event, _who(call)
    if event.how in (Ended.FAILED, Ended.TIMED_OUT):
        kind = f"{event.failure_type}: " if event.failure_type else ""
        yield f"{who} {event.how} after {_attempts(event.attempt)}: {kind}{event.failure}", True
    elif event.attempt > 1:
        yield f"{who} was tried {event.attempt} times, because: {event.failure or 'its worker was gone'}", False
    if event.by_hand:
        what = f" with what is not an answer of it: {call.odd[:ODD_SHOWN]}" if call.odd else ""
        yield f"{who} was {ENDED_BY_HAND[event.how]} by hand, by {event.by}{what}", bool(call.odd)
    elif call.odd:
        yield f"{who} gave what is not an answer of it: {call.odd[:ODD_SHOWN]}", True
    turn = call.turn
    if turn is not None:
        if turn.schema_errors:
            yield f"{who} answered what breaks its schema: {'; '.join(turn.schema_errors)}", False
        if turn.stop_reason in CUT:
            yield f"{who} was cut off after {turn.usage.output_tokens} tokens ({turn.stop_reason})", False
        if turn.stop_reason is StopReason.REFUSAL:
            yield f"{who} refused to answer", True
        if turn.left_out_characters:
            yield f"{who} was not shown {turn.left_out_characters} characters of its material: too long", False
        if not turn.content.size and not turn.tool_calls and turn.data is None:
            yield f"{who} answered nothing", False
    if call.result is not None and call.result.failed:
        yield f"{who} gave an error: {call.result.content.summary or call.result.content.text or ''}", False


def _never_called(calls: Sequence[Call]) -> Iterator[str]:
    """Yield which tools a model wanted that could not even be called: those failures are no activity's."""
    called = [call.asked.key.rpartition("/")[2] for call in calls if isinstance(call.asked, ToolRequest)]
    for call in calls:
        if isinstance(call.asked, ModelRequest):
            failed = [one for message in call.asked.messages for one in message.answers if one.failed]
            yield from (
                f"{_who(call)} could not call a tool: {one.content.text or ''}"
                for one in failed
                if one.id not in called
            )


def _who(call: Call) -> str:
    if isinstance(call.asked, ModelRequest):
        return f"{call.asked.agent} ({call.asked.model})"
    return f"tool {call.asked.tool}" if call.asked is not None else call.event.name


def _attempts(count: int) -> str:
    return f"{count} attempts" if count > 1 else "1 attempt"
