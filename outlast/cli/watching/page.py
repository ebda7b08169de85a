"""The live table of one run. Pure: a look in, renderables out.

A terminal has few lines, and what waits for a person must never be what falls off. So gates, budget and retries
keep their lines, and the table gives way: steps that are done first.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from outlast.cli.rendering import (
    MARKS,
    STYLES,
    approving,
    budget_lines,
    duration,
    money,
    places_shown,
    result_line,
    row,
    safe,
    seconds,
    table,
)
from outlast.cli.watching.steps import Look, StepSeen
from outlast.command_line import command
from outlast.contracts import GateView, Question, RunStatus, Spend, StepState

BAR = 20
"""Cells of the bar of progress."""
FRAME = 4
"""Lines around the rows: the head, the bar, the names of the columns, how many rows are left out."""
WORDS = {"blocked": ("–", "red"), "waiting": ("·", "dim"), "ready": ("·", "")}


def live_page(look: Look, height: int, width: int, now: datetime | None = None) -> RenderableType:
    """Show a run in a terminal of so many lines and columns."""
    now = now or datetime.now(UTC)
    waits = [Text(line, style="bold") for line in waiting_lines(look.status, now)]
    rest: list[Text] = [
        *budget_lines(look.status.budget),
        *waits,
        *(Text(retry_line, style="yellow") for retry_line in retry_lines(look)),
        *(Text(safe(f"notice: {notice}"), style="yellow") for notice in look.status.notices[-3:]),
    ]
    taken = FRAME + sum(-(-line.cell_len // width) for line in rest)
    return Group(_head(look), _bar(look), _steps(look.steps, max(height - taken, 3), now), *rest)


def waiting_lines(status: RunStatus, now: datetime) -> list[str]:
    """Return what waits for people, until when, and the line to copy."""
    gates = [gate_line(status.workflow_id, gate, now) for gate in status.gates]
    questions = [_question_line(status.workflow_id, question, now) for question in status.questions]
    paused = [f"{status.paused.description} → {command('resume', status.workflow_id)}"] if status.paused else []
    return [safe(line) for line in (*paused, *gates, *questions)]


def gate_line(workflow_id: str, gate: GateView, now: datetime) -> str:
    """Return what a gate waits for."""
    votes = f" · {len(gate.approved_by)} of {gate.needed} approved" if gate.needed > 1 else ""
    votes += f" · {gate.approval_rule}" if gate.approval_rule else ""
    return (
        f"{gate.name} waits for a person: {gate.description} · {gate.risk} risk{votes} · {_until(gate.deadline, now)} "
        f"→ {approving(workflow_id, gate.name)}"
    )


def retry_lines(look: Look) -> list[str]:
    """Return which calls wait in place, or are tried again, and why."""
    return [safe(line) for line in look.waits] + [
        safe(
            f"{retry.step or retry.what}: attempt {retry.attempt}"
            + (f", because of {retry.reason}" if retry.reason else "")
        )
        for retry in look.retries
    ]


def tokens(spend: Spend) -> str:
    """Write what was read and written, "" for nothing."""
    read = spend.input_tokens + spend.cache_read_tokens + spend.cache_write_tokens
    return f"{read} + {spend.output_tokens}" if spend.tokens else ""


def _question_line(workflow_id: str, question: Question, now: datetime) -> str:
    until = f" · {_until(question.deadline, now)}" if question.deadline else ""
    return f"{question.id} asks: {question.text}{until} → {command('answer', workflow_id)} TEXT"


def _until(deadline: datetime, now: datetime) -> str:
    left = (deadline - now).total_seconds()
    return f"until {deadline:%Y-%m-%d %H:%M:%S} UTC ({f'{seconds(left)} left' if left > 0 else 'over'})"


def _head(look: Look) -> Text:
    status = look.status
    return Text.assemble(
        (safe(status.workflow_id), "bold"), f" · {status.pattern} · ", (status.state, STYLES[status.state]),
        f" · {money(status.spend)}",
    )  # fmt: skip


def _bar(look: Look) -> Text:
    rows = look.status.steps
    full = BAR * sum(one.state is StepState.DONE for one in rows) // len(rows) if rows else 0
    at_work = [safe(one.row.step) for one in look.steps if one.row.state is StepState.RUNNING]
    running = f" · running: {', '.join(at_work)}" if at_work else ""
    return Text.assemble(("█" * full, "green"), ("░" * (BAR - full), "dim"), f" {look.progress}{running}")


def _steps(steps: Sequence[StepSeen], height: int, now: datetime) -> RenderableType:
    shown = _fitting(steps, height)
    made = table("", "step", "agent", "time", "tries", "tokens", "USD", "result or reason")
    for column in made.columns[:-1]:
        column.no_wrap, column.overflow = True, "ellipsis"
    for one in shown:
        # One line for each step, or the page outgrows the terminal.
        note = Text(safe(_note(one)), no_wrap=True, overflow="ellipsis")
        sign, style = WORDS.get(one.word) or MARKS[one.row.state]
        row(
            made, Text(f"{sign} {one.word}", style=style), one.row.step, one.row.agent,
            duration(one.row.started, one.row.ended, now) if one.row.ended or one.row.state is StepState.RUNNING else "",
            str(one.attempts or ""), tokens(one.spend), f"{one.spend.usd:.4f}" if one.spend.usd else "", note,
        )  # fmt: skip
    left_out = len(steps) - len(shown)
    return Group(made, Text(f"… and {left_out} more", style="dim")) if left_out else made


def _note(one: StepSeen) -> str:
    step = one.row
    output = step.output.summary or (step.output.text or "") if step.output else ""
    waits = f"after {', '.join(step.depends_on)}" if one.word == "waiting" and step.depends_on else ""
    return result_line(step) if output or step.note else waits


def _fitting(steps: Sequence[StepSeen], height: int) -> list[StepSeen]:
    return [steps[place] for place in places_shown([one.row.state for one in steps], height)]
