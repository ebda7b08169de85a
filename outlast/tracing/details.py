"""The current details of a run in the Web UI: its steps, its cost, what waits for people, and the commands to copy.

It is Markdown made from names that users chose, so every cell is escaped.
"""

import json
import shlex
from functools import lru_cache

from outlast.command_line import command
from outlast.contracts import SHORT_DIGEST, GateView, RunStatus, StepState

MARKS = {
    StepState.PENDING: "·",
    StepState.RUNNING: "▶",
    StepState.DONE: "✓",
    StepState.FAILED: "✗",
    StepState.SKIPPED: "–",
}
ROWS_SHOWN = 100


def details(status: RunStatus, steps: int | None = None) -> str:
    """Render a status as Markdown for the Web UI: a table of steps, what was spent, and what could not be understood.

    `steps` is how many there are, where the status holds only the first of them.
    """
    steps = len(status.steps) if steps is None else steps
    tokens = status.spend.input_tokens + status.spend.output_tokens
    lines = [
        f"**{status.pattern}** · {status.state} · {status.spend.calls} calls · {tokens} tokens · ${status.spend.usd:.4f}",
        *([f"\nforked from {_cell(status.forked)}"] if status.forked else []),
        *([f"\n**{_cell(status.paused.description)}**; go on: {_resume(status.workflow_id)}"] if status.paused else []),
        "",
        "| | step | agent | waits for | result, note |",
        "|---|---|---|---|---|",
    ]
    for row in status.steps[:ROWS_SHOWN]:
        result = row.output.summary if row.output else ""
        lines.append(_line(row.state, row.step, row.agent, row.depends_on, result, row.note))
    if steps > ROWS_SHOWN:
        lines.append(f"\n… and {steps - ROWS_SHOWN} more")
    if status.rollback:
        lines.append(f"\n**rolled back:** {status.rollback}")
    for question in status.questions:
        text = f"temporal workflow signal --workflow-id {shlex.quote(status.workflow_id)} --name answer --input '\"…\"'"
        until = f" (until {question.deadline:%Y-%m-%d %H:%M} UTC)" if question.deadline else ""
        lines.append(f"\n**{question.id} asks:** {_cell(question.text)}{until}")
        lines.append(f"\n    {text}")
    lines += [f"\n> {_cell(each.description)}, {each.covered} so far" for each in status.standing]
    for gate in status.gates:
        lines += _gate_lines(status.workflow_id, gate, alone=len(status.gates) == 1)
    if status.budget:
        lines.append(f"\n**budget:** {_cell(status.budget.line)}")
        lines += [f"\n> budget: {_cell(text)}" for text in (*status.budget.warnings, status.budget.stopped) if text]
    lines += [f"\n> missing tool: {_cell(missing)}" for missing in status.tools_missing]
    lines += [f"\n> notice: {' '.join(notice.split())}" for notice in status.notices]
    return "\n".join(lines)


@lru_cache(maxsize=4096)
def _line(state: StepState, step: str, agent: str, depends_on: tuple[str, ...], result: str, note: str) -> str:
    """Render the row of a step. A status is rendered for each change, and all rows but one are as they were."""
    # A note follows the result of a step, and never replaces it.
    shown = " · ".join(text[:80] for text in (result, note) if text)
    cells = (f"{MARKS[state]} {state}", step, agent, ", ".join(depends_on), shown)
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _resume(workflow_id: str) -> str:
    return f"`temporal workflow signal --workflow-id {shlex.quote(workflow_id)} --name resume`"


def _gate_lines(workflow_id: str, gate: GateView, *, alone: bool) -> list[str]:
    """Show a gate: what is proposed, and the lines to copy that decide it."""
    signal = f"temporal workflow signal --workflow-id {shlex.quote(workflow_id)}"
    words = [f"{gate.risk} risk", f"until {gate.deadline:%Y-%m-%d %H:%M} UTC", f"digest {gate.digest[:SHORT_DIGEST]}"]
    words += [f"{len(gate.approved_by)} of {gate.needed} approved"] if gate.needed > 1 else []
    words += [f"by {', '.join(gate.may_decide)}"] if gate.may_decide else []
    lines = [f"\n**{gate.name} waits for a person:** {_cell(gate.description)} ({_cell(' · '.join(words))})"]
    if gate.tool:
        target = f" on {gate.target}" if gate.target else ""
        lines.append(f"\n{_cell(gate.agent or 'the run')} calls {_cell(gate.tool + target)}: `{_cell(gate.arguments)}`")
    lines += [f"\n[report]({gate.report})"] if gate.report else []
    lines += [f"\nbefore: {_cell(f'{one.step}: {one.summary}')}" for one in gate.before]
    lines += [f"\n{_cell('; '.join((f'{gate.size:,} bytes', *gate.counts)))}"] if gate.counts else []
    if not gate.whole:
        lines.append("\n**These arguments are cut. Look at all of them before you approve; this shows them:**")
        lines.append(f"\n    {command('approve', workflow_id, gate.name)}")
    for verdict in ("approve", "deny") if gate.whole else ("deny",):
        payload = {"by": "your name"} if alone else {"gate": gate.name, "by": "your name"}
        lines.append(f"\n    {signal} --name {verdict} --input {shlex.quote(json.dumps(payload))}")
    return lines


def _cell(text: str) -> str:
    # Step ids and file names may hold anything, and a bar or a line break would end the cell.
    return " ".join(text.split()).replace("|", "¦")
