"""The pages that people read while a run is running, and what all pages share. Pure: data in, renderables out.

Texts from models and files may contain `[markup]`, and escape sequences, so they become `Text`
objects, are never formatted, and lose their control characters.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from outlast.cli.printing import counted
from outlast.command_line import command
from outlast.contracts import BudgetShown, GateView, RunState, RunStatus, Spend, StepRow, StepState, WaitsBelow
from outlast.redaction import PresentableStream, presentable

MARKS = {
    StepState.PENDING: ("·", "dim"),
    StepState.RUNNING: ("▶", "yellow"),
    StepState.DONE: ("✓", "green"),
    StepState.FAILED: ("✗", "red"),
    StepState.SKIPPED: ("–", "dim"),
}
STYLES = {
    RunState.RUNNING: "yellow",
    RunState.COMPLETED: "green",
    RunState.PARTIAL: "yellow",
    RunState.STOPPED: "yellow",
    RunState.FAILED: "red",
    RunState.CANCELLED: "red",
}
MOST_ROWS = 200
"""Steps of a run that are shown in a table; more would only scroll by."""
NOTE_SHOWN = 160
INDENT = "  "
WIDTH_WITHOUT_TERMINAL = 160


class SafeConsole(Console):
    """A console that shows no secret, and lets no text steer the terminal; its own colours stay."""

    def __init__(self, **options: Any) -> None:
        stream = sys.stderr if options.get("stderr") else sys.stdout
        if isinstance(stream, PresentableStream):  # it would take the colours out, too
            options["file"] = stream.raw
        super().__init__(**options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render something; rich calls this for all there is to show."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else presentable(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)


def console(*, stderr: bool = False) -> Console:
    """Build the console to print on; it adds no colours of its own to numbers and paths."""
    made = SafeConsole(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_WITHOUT_TERMINAL
    return made


def show(parts: Iterable[RenderableType]) -> None:
    """Print a page to stdout; texts keep their own lines, so that what is copied or piped is the text itself."""
    out = console()
    for part in parts:
        out.print(part, soft_wrap=isinstance(part, Text))


def table(*columns: str) -> Table:
    """Build an empty table that never cuts off its first column."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=False, min_width=len(column) if position else None)
    return made


def safe(text: str) -> str:
    """Return a text as it may be shown: one from a model or a file must not steer the terminal, nor tell a secret."""
    return presentable(text)


def approving(run: str, gate: str) -> str:
    """Return the command that approves."""
    return command("approve", run, gate)


def answering(run: str, question: str) -> str:
    """Return the command that answers a question."""
    return f"{command('answer', run, 'TEXT')} --question {question}"


def revoking(run: str, gate: str) -> str:
    """Return the command that takes back an approval that stands for the run."""
    return f"{command('decide', run, gate)} --verdict revoke"


def row(into: Table, *cells: str | Text) -> None:
    """Add a row whose texts are shown as they are."""
    into.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in cells))


def mark(state: StepState) -> Text:
    """Show a step's state."""
    sign, style = MARKS[state]
    return Text(f"{sign} {state}", style=style)


def duration(started: datetime | None, ended: datetime | None, now: datetime | None = None) -> str:
    """Return how long something took, or has taken until `now`."""
    if started is None:
        return ""
    return seconds(((ended or now or datetime.now(UTC)) - started).total_seconds())


def local_time(when: datetime) -> str:
    """Write a moment in the time of this machine."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(count: float) -> str:
    """Write a duration."""
    if count < 60:
        return f"{max(count, 0):.1f} s"
    minutes, rest = divmod(round(count), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def money(spend: Spend) -> str:
    """Return what calls cost."""
    cached = spend.cache_read_tokens + spend.cache_write_tokens
    tokens = f"{spend.input_tokens + cached} + {spend.output_tokens} tokens" + (f" ({cached} cached)" if cached else "")
    return f"{counted(spend.calls, 'call')} · {tokens} · {dollars(spend)}"


def dollars(spend: Spend, digits: int = 4) -> str:
    """Write what tokens cost; a price of 0 means that models.toml knows none."""
    tokens = spend.input_tokens + spend.output_tokens + spend.cache_read_tokens + spend.cache_write_tokens
    return "no price" if tokens and not spend.usd else f"${spend.usd:.{digits}f}"


def steps_table(steps: Sequence[StepRow], height: int | None = None) -> RenderableType:
    """Show steps; only as many rows as `height`, or MOST_ROWS, those that are done left out first."""
    shown = in_tree(_fitting(steps, height or MOST_ROWS))
    made = table("", "step", "agent", "waits for", "time", "result or reason")
    for depth, step in shown:
        row(
            made, mark(step.state), f"{INDENT * depth}{step.step}", step.agent, ", ".join(step.depends_on),
            duration(step.started, step.ended), result_line(step),
        )  # fmt: skip
    left_out = len(steps) - len(shown)
    more = f"… and {left_out} more" + ("" if height else "; --json lists them all")
    return Group(made, Text(more, style="dim")) if left_out else made


def in_tree(steps: Sequence[StepRow]) -> list[tuple[int, StepRow]]:
    """Put each step that an agent asked for below the step that asked, with how deep it stands there."""
    names = {step.step for step in steps}
    above: dict[str, list[StepRow]] = {}
    for step in steps:
        above.setdefault(step.within if step.within in names else "", []).append(step)

    def below(name: str, depth: int) -> list[tuple[int, StepRow]]:
        return [found for step in above.pop(name, []) for found in [(depth, step), *below(step.step, depth + 1)]]

    return below("", 0)


def result_line(step: StepRow, width: int = NOTE_SHOWN) -> str:
    """Return what a step answered and, behind it, what there is to note: a note never takes the place of a result."""
    output = step.output.summary or (step.output.text or "") if step.output else ""
    result, note = " ".join(output.split()), " ".join(step.note.split())
    if not (result and note):
        return _cut(result or note, width)
    return f"{_cut(result, width - min(len(note), width // 2) - 3)} · {_cut(note, width // 2)}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _fitting(steps: Sequence[StepRow], height: int) -> list[StepRow]:
    return [steps[place] for place in places_shown([step.state for step in steps], height)]


def places_shown(states: Sequence[StepState], height: int) -> list[int]:
    """Return the places of the steps to show: the first that are done are left out first, and the last of those that wait."""
    gone: set[int] = set()
    for droppable in (StepState.DONE, StepState.SKIPPED, StepState.PENDING, StepState.FAILED):
        of_it = [place for place, state in enumerate(states) if state is droppable]
        surplus = max(len(states) - len(gone) - height, 0)
        gone.update((of_it[::-1] if droppable is StepState.PENDING else of_it)[:surplus])
    return [place for place in range(len(states)) if place not in gone][:height]


def status_page(status: RunStatus, height: int | None = None) -> RenderableType:
    """Show where a run is."""
    head = Text.assemble(
        (safe(status.workflow_id), "bold"), f" · {status.pattern} · ", (status.state, STYLES[status.state]),
        f" · {money(status.spend)}",
    )  # fmt: skip
    notices = [Text(safe(f"notice: {notice}"), style="yellow") for notice in status.notices]
    questions = [
        Text(safe(f"{one.id} asks: {one.text} → {command('answer', status.workflow_id)} TEXT"), style="bold")
        for one in status.questions
    ]
    forked = [Text(safe(f"forked from {status.forked}"))] if status.forked else []
    text = f"{status.paused.description} → {command('resume', status.workflow_id)}" if status.paused else ""
    paused = [Text(safe(text), style="bold")] if text else []
    gates = [
        Text(
            safe(gate_line(status.workflow_id, one)),
            style="bold",
        )
        for one in status.gates
    ]
    gates += [Text(safe(line), style="bold") for one in status.below for line in below_lines(one)]
    rows = steps_table(status.steps, height)
    tools = [*missing_tools(status.tools_missing), *(Text(safe(f"note: {one}")) for one in status.tools_changed)]
    rest = [*budget_lines(status.budget), *tools, *standing_lines(status), *gates, *questions, *notices]
    return Group(head, *forked, *paused, rows, *rest)


def standing_lines(status: RunStatus) -> list[Text]:
    """Show which approvals stand for the run, and the command that takes each back."""
    return [
        Text(safe(f"{one.description}, {one.covered} so far → {revoking(status.workflow_id, one.name)}"))
        for one in status.standing
    ]


def gate_line(run: str, gate: GateView, waits: str = "waits") -> str:
    """Return what a gate waits for, who may not approve it, and the command that does."""
    rule = f" · {gate.approval_rule}" if gate.approval_rule else ""
    return f"{gate.name} {waits}: {gate.description}{rule} → {approving(run, gate.name)}"


def below_lines(waits: WaitsBelow) -> list[str]:
    """Return what waits for people in the run of an agent that was asked, and those below it; people decide in that run."""
    lines = [f"{waits.agent}: {gate_line(waits.run, gate)}" for gate in waits.gates]
    lines += [f"{waits.agent} asks: {each} → {command('answer', waits.run)} TEXT" for each in waits.questions]
    return [*lines, *(line for one in waits.below for line in below_lines(one))]


def missing_tools(missing: Sequence[str]) -> list[Text]:
    """Show which tools agents name and lack."""
    return [Text(safe(f"missing tool: {one}"), style="yellow") for one in missing]


def budget_lines(budget: BudgetShown | None) -> list[Text]:
    """Show how a run stands with its budget; nothing where it has none."""
    if budget is None:
        return []
    warnings = [text for text in (*budget.warnings, budget.stopped) if text]
    return [
        Text.assemble(("budget: ", "bold"), safe(budget.line)),
        *(Text(safe(f"budget: {text}"), style="yellow") for text in warnings),
    ]
