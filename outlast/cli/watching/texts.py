"""What the models of a run are writing, while they write it, and each answer whole once its call has ended.

What comes on the way may be late, cut, or of an attempt that failed; so the answer itself, from the content store,
has the last word.
"""

from collections.abc import Callable, Iterable

from temporalio.client import WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError

from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import Ended, failure_of
from outlast.cli.recorded.reading import Call, Decoding
from outlast.cli.rendering import seconds
from outlast.cli.watching.call_text import CallText
from outlast.cli.watching.calls import Calls, Key
from outlast.cli.watching.page import tokens
from outlast.cli.watching.pieces import Heartbeats, Pieces, RunStream
from outlast.contracts import ModelRequest, ModelTurn, Spend


class Texts:
    """Writes the texts of one run's calls; `write` prints a line."""

    def __init__(self, reach: Reach, workflow_id: str, write: Callable[[str], None]) -> None:
        self._store = reach.store(waits=False)
        self._sources: tuple[Pieces, ...] = (RunStream(reach), Heartbeats(Decoding(reach, workflow_id)))
        self._write = write
        self._shown: dict[Key, CallText] = {}

    async def show(self, found: WorkflowExecutionDescription, calls: Calls) -> None:
        """Write what is new: of calls that ended, then of those at work."""
        ended, calls.ended = calls.ended, []
        for key, call in ended:
            if call.is_model:
                await self._finish(self._shown.pop(key, CallText(_label(call))), call)
        at_work = {key: call for key, call in calls.open.items() if call.is_model and key[0] == found.run_id}
        for pending in found.raw_description.pending_activities:
            key = (found.run_id, pending.activity_id)
            if key in at_work:
                shown = self._shown.setdefault(key, CallText(_label(at_work[key])))
                reason = ": ".join(filter(None, reversed(failure_of(pending.last_failure))))
                self._lines(shown.tried_again(pending.attempt, reason))
        for source in self._sources:
            for key, piece in await source.new(found, at_work):
                shown = self._shown.setdefault(key, CallText(_label(at_work[key])))
                if isinstance(source, RunStream) or not _publishes(at_work[key]) or shown.joins(piece):
                    self._lines(shown.feed(piece))

    async def _finish(self, shown: CallText, call: Call) -> None:
        self._lines(shown.tried_again(call.event.attempt))
        if call.turn is None:
            outcome = "cancelled" if call.event.how is Ended.CANCELLED else call.event.failure or str(call.event.how)
            self._lines(shown.ended(f"✗ {outcome}"))
            return
        answer = await self._answer(call.turn, call.asked)
        if answer is None:
            self._lines(shown.ended("✓ answered; the text is not in this starter's content store"))
            return
        self._lines(shown.finish(answer))
        for tool in call.turn.tool_calls:
            self._lines(shown.ended(f"→ calls {tool.name}"))
        self._lines(shown.ended(_closing_line(call, call.turn)))

    async def _answer(self, turn: ModelTurn, asked: object) -> str | None:
        """Fetch the answer of this call; of a call that continued an answer only what it added."""
        try:
            text = await self._store.text(turn.content)
            continued = asked.continues if isinstance(asked, ModelRequest) else None
            return text.removeprefix(await self._store.text(continued)) if continued else text
        except ApplicationError:
            return None

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._write(line)


def _publishes(call: Call) -> bool:
    return isinstance(call.asked, ModelRequest) and call.asked.stream


def _label(call: Call) -> str:
    agent = call.asked.agent if call.asked else ""
    return f"{call.step} · {agent}" if call.step else call.text


def _closing_line(call: Call, turn: ModelTurn) -> str:
    spend = Spend(calls=1, **turn.usage.model_dump(), usd=turn.usd)
    took = (call.ended - call.event.scheduled).total_seconds() if call.ended else 0.0
    wrong = f"✗ sent back: {turn.schema_errors[0]}" if turn.schema_errors else f"✓ {turn.stop_reason}"
    return " · ".join(
        filter(None, (wrong, seconds(took), f"{tokens(spend)} tokens", f"${turn.usd:.4f}" if turn.usd else ""))
    )
