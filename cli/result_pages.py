"""The pages that show what a run gave: a plan's answers and steps, or what became of each document. Pure."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from cli.pages import STYLES, money, row, safe, seconds, steps_table, table
from cli.results import DocumentPage, Page, PlanPage, ReadDocument, SessionPage, counted, dry
from workflows.contracts import PlanShape


def result_page(page: Page) -> list[RenderableType]:
    """Show any result."""
    if isinstance(page, SessionPage):
        return session_page(page)
    return plan_page(page) if isinstance(page, PlanPage) else documents_page(page)


def session_page(page: SessionPage) -> list[RenderableType]:
    """Show what an agent answered, after how many turns and tool calls."""
    result = page.result
    done = f"{counted(result.progress.turns, 'turn')}, {counted(result.progress.tool_calls, 'tool call')}"
    return [
        Text(safe(page.answer)),
        Text(),
        *(Text(safe(f"note: {note}"), style="yellow") for note in result.progress.notes),
        Text.assemble((result.state, STYLES[result.state]), f" · {done} · {money(result.spend)}"),
    ]


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
        parts += [Rule(Text(safe(f"answer of step {step}")), align="left"), Text(safe(text)), Text()]
    if dry(page):
        made = table("step", "agent", "waits for", "input")
        for planned in report.plan.steps:
            row(made, planned.step, planned.agent, ", ".join(planned.depends_on), planned.input)
        parts += [made, Text(), *shape_lines(report.shape, len(report.plan.steps))]
    elif report.steps:
        parts += [steps_table(report.steps)]
    parts += [Text(safe(f"changed by {change.stage}: {change.change}"), style="yellow") for change in report.changes]
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
    yield Rule(Text(safe(f"{outcome.name} · {kind}{pages}{parts}")), align="left")
    if outcome.error:
        yield Text(safe(f"{outcome.error_kind}: {outcome.error}"), style="red")
    if document.summary:
        yield Text.assemble(("summary: ", "bold"), safe(document.summary))
    if document.analysis:
        yield Text.assemble(("analysis: ", "bold"), safe(document.analysis))
    yield from (Text(safe(f"note: {note}"), style="yellow") for note in outcome.notes)
    yield Text(f"{seconds(outcome.seconds)} · {money(document.spend)}", style="dim")
