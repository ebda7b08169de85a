"""The pages that people read: the step table, results, lists. Pure: data in, renderables out.

The trap: texts from models and files may contain `[markup]`, so they become `Text` objects and are never formatted.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli.results import DocumentPage, PlanPage, ReadDocument, counted, dry
from workflows.contracts import CallTrace, PlanShape, RunState, RunStatus, Spend, StepRow, StepState

MARKS = {
    StepState.PENDING: ("·", "dim"),
    StepState.RUNNING: ("▶", "yellow"),
    StepState.DONE: ("✓", "green"),
    StepState.FAILED: ("✗", "red"),
    StepState.SKIPPED: ("–", "dim"),
}
STYLES = {RunState.COMPLETED: "green", RunState.PARTIAL: "yellow", RunState.FAILED: "red", RunState.RUNNING: "yellow"}
NOTE_SHOWN = 160
WIDTH_WITHOUT_TERMINAL = 160


def console(*, stderr: bool = False) -> Console:
    """Build the console to print on; it adds no colours of its own to numbers and paths."""
    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_WITHOUT_TERMINAL
    return made


def show(parts: Iterable[RenderableType]) -> None:
    """Print a page to stdout; texts keep their own lines, so that what is copied or piped is what was said."""
    out = console()
    for part in parts:
        out.print(part, soft_wrap=isinstance(part, Text))


def table(*columns: str) -> Table:
    """Build an empty table that never cuts off its first column."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=False, min_width=len(column) if position else None)
    return made


def row(into: Table, *cells: str | Text) -> None:
    """Add a row whose texts are shown as they are."""
    into.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))


def mark(state: StepState) -> Text:
    """Show a step's state."""
    sign, style = MARKS[state]
    return Text(f"{sign} {state}", style=style)


def duration(started: datetime | None, ended: datetime | None) -> str:
    """Say how long something took, or has taken so far."""
    if started is None:
        return ""
    return seconds(((ended or datetime.now(UTC)) - started).total_seconds())


def seconds(count: float) -> str:
    """Write a duration."""
    if count < 60:
        return f"{max(count, 0):.1f} s"
    minutes, rest = divmod(round(count), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def money(spend: Spend) -> str:
    """Say what calls cost."""
    cached = spend.cache_read_tokens + spend.cache_write_tokens
    tokens = f"{spend.input_tokens + cached} + {spend.output_tokens} tokens" + (f" ({cached} cached)" if cached else "")
    return f"{counted(spend.calls, 'call')} · {tokens} · ${spend.usd:.4f}"


def steps_table(steps: Sequence[StepRow], room: int | None = None) -> RenderableType:
    """Show steps; with `room` lines only as many rows, those that are done left out first."""
    shown = _fitting(steps, room) if room else list(steps)
    made = table("", "step", "agent", "waits for", "time", "result or reason")
    for step in shown:
        note = step.note or (step.output.summary or (step.output.text or "") if step.output else "")
        line = " ".join(note.split())
        line = line if len(line) <= NOTE_SHOWN else line[: NOTE_SHOWN - 1] + "…"
        row(
            made, mark(step.state), step.step, step.agent, ", ".join(step.depends_on),
            duration(step.started, step.ended), line,
        )  # fmt: skip
    left_out = len(steps) - len(shown)
    return Group(made, Text(f"… and {left_out} more", style="dim")) if left_out else made


def _fitting(steps: Sequence[StepRow], room: int) -> list[StepRow]:
    surplus = len(steps) - room
    for droppable in (StepState.DONE, StepState.SKIPPED, StepState.PENDING):
        for step in [one for one in steps if one.state is droppable][: max(surplus, 0)]:
            steps = [one for one in steps if one is not step]
            surplus -= 1
    return list(steps[:room])


def status_page(status: RunStatus, room: int | None = None) -> RenderableType:
    """Show where a run is."""
    head = Text.assemble(
        (status.workflow_id, "bold"), f" · {status.pattern} · ", (status.state, STYLES[status.state]),
        f" · {money(status.spend)}",
    )  # fmt: skip
    notices = [Text(f"not understood: {notice}", style="yellow") for notice in status.notices]
    return Group(head, steps_table(status.steps, room), *notices)


def shape_lines(shape: PlanShape, steps: int) -> list[Text]:
    """Say which chain of steps decides how long a plan takes, and what runs side by side."""
    path = " → ".join(shape.critical_path)
    lines = [Text.assemble(("critical path: ", "bold"), f"{path} ({len(shape.critical_path)} of {steps} steps)")]
    for number, wave in enumerate(shape.waves, 1):
        how = "side by side" if len(wave) > 1 else "alone"
        lines.append(
            Text.assemble(
                (f"{'in parallel: ' if number == 1 else '       then: '}", "bold"), f"{', '.join(wave)} ({how})"
            )
        )
    return lines


def plan_page(page: PlanPage) -> list[RenderableType]:
    """Show a plan's result: answers in full, steps, repairs, totals; or, of a dry run, the plan."""
    report, result = page.report, page.result
    parts: list[RenderableType] = []
    for step, text in page.answers.items():
        parts += [Rule(Text(f"answer of step {step}"), align="left"), Text(text), Text()]
    if dry(page):
        made = table("step", "agent", "waits for", "input")
        for planned in report.plan.steps:
            row(made, planned.step, planned.agent, ", ".join(planned.depends_on), planned.input)
        parts += [made, Text(), *shape_lines(report.shape, len(report.plan.steps))]
    elif report.steps:
        parts += [steps_table(report.steps)]
    parts += [Text(f"changed by {change.stage}: {change.change}", style="yellow") for change in report.changes]
    counts = f"{result.done} done, {result.failed} failed, {result.skipped} skipped" if report.steps else "not run"
    state = "valid" if dry(page) else result.state
    parts.append(Text.assemble((state, STYLES[result.state]), f" · {counts} · {money(result.spend)}"))
    return parts


def documents_page(page: DocumentPage) -> list[RenderableType]:
    """Show what became of each document."""
    parts: list[RenderableType] = []
    for document in page.documents:
        parts += [*_document(document), Text()]
    state = page.result.state
    parts.append(
        Text.assemble(
            (state, STYLES[state]), f" · {counted(len(page.documents), 'document')} · {money(page.result.spend)}"
        )
    )
    return parts


def _document(document: ReadDocument) -> Iterable[RenderableType]:
    outcome = document.outcome
    pages = f" · {counted(outcome.pages, 'page')}" if outcome.pages else ""
    parts = f" · {counted(outcome.parts, 'part')}" if outcome.parts else ""
    kind = outcome.type or "failed"
    yield Rule(Text(f"{outcome.name} · {kind}{pages}{parts}"), align="left")
    if outcome.error:
        yield Text(f"{outcome.error_kind}: {outcome.error}", style="red")
    if document.summary:
        yield Text.assemble(("summary: ", "bold"), document.summary)
    if document.analysis:
        yield Text.assemble(("analysis: ", "bold"), document.analysis)
    yield from (Text(f"note: {note}", style="yellow") for note in outcome.notes)
    yield Text(f"{seconds(outcome.seconds)} · {money(document.spend)}", style="dim")


def trace_page(calls: Sequence[CallTrace]) -> list[RenderableType]:
    """Show model calls in the order in which they ended."""
    if not calls:
        return [Text("no model calls yet")]
    made = table("step", "agent", "model", "ms", "attempt", "tokens", "USD", "", "error")
    total = Spend()
    for call in calls:
        total = total.plus(call.spend)
        ended = Text("✓ ok", style="green") if call.success else Text("✗ failed", style="red")
        spent = call.spend
        tokens = f"{spent.input_tokens + spent.cache_read_tokens + spent.cache_write_tokens} + {spent.output_tokens}"
        row(
            made, call.step, call.agent, call.model, str(call.ms), str(call.attempt), tokens,
            f"{spent.usd:.6f}", ended, call.error,
        )  # fmt: skip
    return [made, Text(money(total))]
