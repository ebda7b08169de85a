"""Pausing: what runs finishes, nothing new starts, until a person resumes the run.

Everything that starts work asks `unpaused` first: steps, model calls, tool calls, searches. Gates, rollback, cancelling and the
keeping of what is done do not. Waiting needs no timer, so a run that nobody resumes waits forever, and deadlines
that were running when it was paused go on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow

from outlast.contracts import SUMMARY_LENGTH, Pause, PauseAnswer
from outlast.tracing.trace import RunTrace
from outlast.workflow.inputs import only
from outlast.workflow.journal import catching_up
from outlast.workflow.state import ExecutionState

SOMEBODY = "somebody"
FIELDS = ("by", "reason")
EXAMPLE = 'send nothing, a reason, or {"by": "your name", "reason": "why"}'


class Pausing:
    """The pausing and resuming of one run; never raises, and says what came of it."""

    def __init__(self, state: ExecutionState, trace: RunTrace) -> None:
        self._state = state
        self._trace = trace

    def pause(self, arguments: Sequence[Any]) -> PauseAnswer:
        """Pause the run for a person: nothing, a reason, or `{by, reason}`."""
        read, paused = _read(arguments), self._state.paused
        if isinstance(read, str):
            return self._refused("pause", read)
        if paused is not None:
            return self._refused("pause", f"it is {paused.description}")
        by, reason = read
        self._state.pause(Pause(by=by, since=workflow.now(), reason=reason))
        return PauseAnswer(accepted=True, paused=self._state.paused)

    def resume(self, arguments: Sequence[Any]) -> PauseAnswer:
        """Resume the run for a person."""
        read = _read(arguments)
        if isinstance(read, str):
            return self._refused("resume", read)
        if self._state.paused is None:
            return self._refused("resume", "it is not paused")
        self._state.pause(None)
        return PauseAnswer(accepted=True)

    def _refused(self, what: str, why: str) -> PauseAnswer:
        self._trace.notice(f"{what}: {why}")
        return PauseAnswer(accepted=False, reason=why, paused=self._state.paused)


async def unpaused(state: ExecutionState) -> None:
    """Return at once unless the run is paused, and otherwise when it is resumed; never in a run whose work has ended.

    Nor in one that continues as new: what would begin here begins in the next part. What only repeats what is done passes.
    """
    # Nothing is awaited where it is not paused: one more turn of the loop would change the order of commands.
    held = (state.paused is not None or state.leaves()) and not catching_up()
    if held or state.is_ending:
        await workflow.wait_condition(lambda: state.paused is None and not state.is_ending and not state.leaving)


def _read(arguments: Sequence[Any]) -> tuple[str, str] | str:
    """Read by whom and why, or say in words why it cannot be understood."""
    try:
        data = only(arguments)
    except ValueError as error:
        return f"{error}; {EXAMPLE}"
    if data is None or isinstance(data, str):
        data = {"reason": data or ""}
    if not isinstance(data, Mapping):
        return f"{repr(data)[:60]} is not understood; {EXAMPLE}"
    wrong = [
        name for name, value in data.items() if name not in FIELDS or not isinstance(value, str | int | float | None)
    ]
    if wrong:
        return f"{str(wrong[0])[:60]!r} is not understood; {EXAMPLE}"
    by, reason = (" ".join(str(data.get(name) or "").split())[:SUMMARY_LENGTH] for name in FIELDS)
    return by or SOMEBODY, reason
