"""What the demo shows: a table that grows while the run works, and the one at the end."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from outlast.contracts import CallTrace, RunStatus, Spend, StepRow, StepState
from workflows.contracts.documents import DocumentAnalysisResult

STAGES = ("extract", "classify", "analyse", "summarise")
SEPARATOR = " · "
"""Between the document and the stage in the name of a step."""
MARKS = {
    StepState.PENDING: Text("·", "dim"),
    StepState.RUNNING: Text("▶", "yellow"),
    StepState.DONE: Text("✓", "green"),
    StepState.FAILED: Text("✗", "red"),
    StepState.SKIPPED: Text("–", "dim"),
}


def finished(status: RunStatus | None) -> int:
    """Count the documents that are done."""
    rows = status.steps if status else ()
    return sum(row.step.endswith(SEPARATOR + STAGES[-1]) and row.state is StepState.DONE for row in rows)


def ended_steps(before: RunStatus | None, now: RunStatus) -> list[StepRow]:
    """Return the steps that ended between two looks."""
    over = {StepState.DONE, StepState.FAILED, StepState.SKIPPED}
    known = {row.step for row in before.steps if row.state in over} if before else set()
    return [row for row in now.steps if row.state in over and row.step not in known]


def progress_table(names: Sequence[str], status: RunStatus | None, seconds: float, note: str) -> Table:
    """Render the stages of each document, as far as they are known."""
    spend = status.spend if status else Spend()
    tokens = spend.input_tokens + spend.output_tokens
    caption = f"{seconds:.0f} s · {spend.calls} model calls · {tokens:,} tokens" + (f" · {note}" if note else "")
    table = Table(caption=caption, caption_justify="left")
    table.add_column("document")
    for stage in STAGES:
        table.add_column(stage, justify="center")
    states = {row.step: row.state for row in status.steps} if status else {}
    for name in names:
        table.add_row(name, *(MARKS[states.get(name + SEPARATOR + stage, StepState.PENDING)] for stage in STAGES))
    return table


def result_table(result: DocumentAnalysisResult, calls: Sequence[CallTrace]) -> Table:
    """Render one row for each document: type, summary, seconds and tokens, or why it failed."""
    table = Table(title="Documents", title_justify="left", show_lines=True)
    table.add_column("document", overflow="fold", ratio=3)
    table.add_column("type")
    table.add_column("summary", ratio=6)
    table.add_column("seconds", justify="right")
    table.add_column("tokens", justify="right")
    for document in result.documents:
        summary = document.summary
        shown = Text(document.error, "red") if summary is None else Text(summary.summary or summary.text or "")
        if document.notes:
            shown.append(f"\n({'; '.join(document.notes)})", "yellow")
        own = [call.spend for call in calls if call.step.startswith(document.name + SEPARATOR)]
        tokens = sum(spend.input_tokens + spend.output_tokens for spend in own)
        kind = document.type.value if document.type else "-"
        table.add_row(Text(document.name), kind, shown, f"{document.seconds:.1f}", f"{tokens:,}")
    return table
