"""The step trace as a tree: each step with its calls, how long they took, what they cost, and where it failed and why. Pure."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from outlast.cli.rendering import MARKS, STYLES, budget_lines, dollars, duration, money, safe, seconds
from outlast.contracts import CallTrace, RunStatus, Spend, StepRow, StepState, Trace


def trace_page(status: RunStatus, trace: Trace) -> list[RenderableType]:
    """Show the whole trace of a run."""
    rows = {row.step: row for row in status.steps}
    tree = Tree(_head(status), guide_style="dim")
    for step in dict.fromkeys((*(call.step for call in trace.calls), *rows)):
        calls = [call for call in trace.calls if call.step == step]
        branch = tree.add(_step(step, rows.get(step), calls))
        for call in calls:
            branch.add(call_line(call))
    return [tree, *budget_lines(status.budget), *_faults(trace.calls)]


def call_line(call: CallTrace) -> Text:
    """Show one model or tool call in a line."""
    spent = call.spend
    tokens = f"{spent.input_tokens + spent.cache_read_tokens + spent.cache_write_tokens} + {spent.output_tokens} tokens"
    what = f"{call.tool}({call.input})" if call.tool else f"{call.agent} · {call.model}"
    cost = "" if call.tool else f" · {tokens} · {dollars(spent, 6)}"
    tries = f" · attempt {call.attempt}" if call.attempt > 1 else ""
    line = Text("✓ " if call.success else "✗ ", style="green" if call.success else "red")
    line.append(safe(f"{what} · {seconds(call.ms / 1000)}{tries}{cost}"), style="default")
    if call.approved:
        line.append(safe(f" · {call.approved}"), style="dim")
    if not call.success:
        line.append(safe(f" · {call.error or call.output}"), style="red")
    return line


def _head(status: RunStatus) -> Text:
    return Text.assemble(
        (safe(status.workflow_id), "bold"), f" · {status.pattern} · ", (status.state, STYLES[status.state]),
        f" · {money(status.spend)}", safe(f" · forked from {status.forked}" if status.forked else ""),
    )  # fmt: skip


def _step(step: str, row: StepRow | None, calls: Sequence[CallTrace]) -> Text:
    total = Spend()
    for call in calls:
        total = total.plus(call.spend)
    sign, style = MARKS[row.state] if row else ("·", "dim")
    facts = [row.agent, duration(row.started, row.ended)] if row else []
    facts += [money(total)] if total.calls else []
    if row and row.depends_on:
        facts.append(f"after {', '.join(row.depends_on)}")
    line = Text(f"{sign} ", style=style)
    line.append(safe(step), style="bold")
    line.append(safe("".join(f" · {fact}" for fact in facts if fact)), style="default")
    if row and row.note:
        line.append(safe(f" · {row.note}"), style="red" if row.state is StepState.FAILED else "yellow")
    return line


def _faults(calls: Sequence[CallTrace]) -> list[RenderableType]:
    """Show at the end where it went wrong first: a long tree scrolls away."""
    failed = [call for call in calls if not call.success]
    if not failed:
        return []
    first = failed[0]
    who = first.tool or first.agent
    return [Text(safe(f"first failure: step {first.step}, {who}: {first.error or first.output}"), style="red")]
