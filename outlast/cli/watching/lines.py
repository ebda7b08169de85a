"""A watched run where no terminal is: one line for each change, and none where nothing changed. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

from outlast.cli.printing import counted
from outlast.cli.rendering import duration, safe
from outlast.cli.watching.page import gate_line, retry_lines, tokens, waiting_lines
from outlast.cli.watching.steps import ENDED, Look, StepSeen
from outlast.contracts import StepState


class Lines:
    """Yields what is new in each look at a run."""

    def __init__(self) -> None:
        self._known: dict[str, StepState] = {}
        self._printed: set[str] = set()
        self._gates: dict[str, str] = {}

    def of(self, look: Look) -> Iterator[str]:
        """Return the lines for what has changed since the last look."""
        for step in look.steps:
            if self._known.get(step.row.step) is not step.row.state and step.row.state is not StepState.PENDING:
                yield safe(_step_line(step, look))
            self._known[step.row.step] = step.row.state
        yield from self._waiting(look)
        budget = look.status.budget
        lines = [*retry_lines(look), *(f"notice: {notice}" for notice in look.status.notices)]
        lines += [f"budget: {text}" for text in (*budget.warnings, budget.stopped) if text] if budget else []
        for line in lines:
            if line not in self._printed:
                self._printed.add(line)
                yield safe(line)

    def _waiting(self, look: Look) -> Iterator[str]:
        """Yield what begins to wait for a person, and what no longer does; an edited or voted-on gate is shown again."""
        now = datetime.now(UTC)
        status = look.status
        # Without the time that is left, which changes at every look.
        keys = {gate.name: gate_line(status.workflow_id, gate, gate.deadline) for gate in status.gates}
        keys |= {question.id: question.text for question in status.questions}
        keys |= {"pause": status.paused.description} if status.paused else {}
        lines = waiting_lines(status, now)
        named = [*(["pause"] if status.paused else []), *(gate.name for gate in status.gates)]
        named += [question.id for question in status.questions]
        for name, line in zip(named, lines, strict=True):
            if self._gates.get(name) != keys[name]:
                yield line
        for gone in [name for name in self._gates if name not in keys]:
            yield f"{safe(gone)} is over"
        self._gates = keys


def _step_line(step: StepSeen, look: Look) -> str:
    row = step.row
    parts = [step.word, row.step, row.agent]
    if row.state in ENDED:
        spent = tokens(step.spend)
        parts += [duration(row.started, row.ended) if row.ended else ""]
        parts += [counted(step.attempts, "attempt") if step.attempts > 1 else "", f"{spent} tokens" if spent else ""]
        parts += [f"${step.spend.usd:.4f}" if step.spend.usd else "", row.note, look.progress]
    return " · ".join(filter(None, parts))
