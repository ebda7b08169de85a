"""Two runs side by side: their numbers as the report has them, and each step: who did it, what it was asked, what came out."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text
from temporalio.client import WorkflowQueryFailedError

from outlast.cli.leaving import LeavingError
from outlast.cli.reaching import Reach
from outlast.cli.rendering import dollars, row, safe, seconds, table
from outlast.cli.report.figures import Report
from outlast.cli.report.page import comparison
from outlast.cli.report.reading import read_report
from outlast.cli.result_texts import Reader
from outlast.contracts import CallTrace, Plan, Spend, StepRow

SHORT = 100
"""Characters of an answer that are shown without --full."""
STEP_ROW = "step "
COMPARED = ("agent", "model", "input", "waits for", "state", "answer")


@dataclass(frozen=True)
class StepSide:
    """A step in one of the runs; `answer` is the whole text, as far as it can be read."""

    state: str
    agent: str
    model: str
    input: str
    waits_for: tuple[str, ...]
    seconds: float
    spend: Spend
    answer: str
    note: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "waits_for": list(self.waits_for), "spend": self.spend.model_dump(mode="json")}

    def line(self) -> str:
        """Say in one line who did it and how it ended."""
        who = " on ".join(filter(None, (self.agent, self.model)))
        cost = dollars(self.spend) if self.spend.calls else "no call"
        return " · ".join(filter(None, (self.state, who, seconds(self.seconds), cost)))


@dataclass(frozen=True)
class StepPair:
    """A step in both runs, None in one that has no such step."""

    step: str
    one: StepSide | None
    other: StepSide | None

    @property
    def changes(self) -> tuple[str, ...]:
        """Name what is different."""
        if self.one is None or self.other is None:
            return ("only in the first",) if self.one else ("only in the second",)
        values = [(side.agent, side.model, side.input, side.waits_for, side.state, side.answer) for side in self.sides]
        different = [name for name, a, b in zip(COMPARED, *values, strict=True) if a != b]
        # A step that was taken over called no model, which is no change of its model.
        return tuple(name for name in different if name != "model" or (self.one.model and self.other.model))

    @property
    def sides(self) -> list[StepSide]:
        """The sides that there are."""
        return [side for side in (self.one, self.other) if side is not None]


@dataclass(frozen=True)
class Comparison:
    """Two runs and their steps."""

    reports: tuple[Report, Report]
    steps: tuple[StepPair, ...]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        one, other = self.reports
        return {
            "runs": [one.run_id, other.run_id],
            "figures": [
                {"name": name, "one": a, "other": b, "difference": change}
                for name, a, b, change in comparison(one, other)
                if not name.startswith(STEP_ROW)
            ],
            "steps": [
                {
                    "step": pair.step,
                    "changes": list(pair.changes),
                    "one": pair.one.data() if pair.one else None,
                    "other": pair.other.data() if pair.other else None,
                }
                for pair in self.steps
            ],
            "outcomes": [{"state": each.state, "failure": each.failure} for each in self.reports],
        }

    def lines(self, *, full: bool = False) -> list[RenderableType]:
        """Show the numbers, then each step that is different, and in a line how many are the same."""
        one, other = self.reports
        figures = table("", one.run_id, other.run_id, "difference")
        for name, a, b, change in comparison(one, other):
            if not name.startswith(STEP_ROW):
                row(figures, name, a, b, change)
        parts: list[RenderableType] = [figures, Text()]
        same = [pair for pair in self.steps if not pair.changes]
        for pair in self.steps:
            if pair.changes:
                parts += _pair_lines(pair, full=full)
        if same:
            names = ", ".join(pair.step for pair in same[:20]) + (" …" if len(same) > 20 else "")
            parts.append(Text(safe(f"the same in both: {names}"), style="dim"))
        parts += [
            Text(safe(f"{each.run_id} failed: {each.failure}"), style="red") for each in self.reports if each.failure
        ]
        return parts


async def compare(reach: Reach, one: str, other: str) -> Comparison:
    """Read two runs; raises LeavingError if there is none of an id."""
    first, second = await read_report(reach, one), await read_report(reach, other)
    sides = await _sides(reach, first), await _sides(reach, second)
    steps = dict.fromkeys((*sides[0], *sides[1]))
    return Comparison((first, second), tuple(StepPair(step, sides[0].get(step), sides[1].get(step)) for step in steps))


async def _sides(reach: Reach, report: Report) -> dict[str, StepSide]:
    reader = Reader(reach.store(), reach.settings, report.run_id)
    planned = await _planned(reach, report.run_id)
    calls = report.queried.trace.calls if report.queried else ()
    return {step: await _side(reader, row, calls, planned) for step, row in report.rows.items()}


async def _side(reader: Reader, row: StepRow, calls: tuple[CallTrace, ...], planned: Mapping[str, str]) -> StepSide:
    own = [call for call in calls if call.step == row.step and call.model]
    spend = Spend()
    for call in own:
        spend = spend.plus(call.spend)
    answer = ""
    if row.output is not None:
        answer = row.output.summary or row.output.text or ""
        with suppress(LeavingError):  # gone from the store: what history says of it is shown
            answer = await reader.text(row.output)
    return StepSide(
        state=row.state,
        agent=row.agent,
        model=own[-1].model if own else "",
        input=planned.get(row.step, row.input),
        waits_for=row.depends_on,
        seconds=(row.ended - row.started).total_seconds() if row.started and row.ended else 0.0,
        spend=spend,
        answer=answer,
        note=row.note,
    )


async def _planned(reach: Reach, run_id: str) -> dict[str, str]:
    """Return the inputs of a plan's steps in full, where the run has a plan and a worker answers."""
    try:
        plan = await reach.ask(await reach.find(run_id, ours=False), "plan", Plan)
    except (LeavingError, WorkflowQueryFailedError, ValueError):
        return {}
    return {step.step: step.input for step in plan.steps}


def _pair_lines(pair: StepPair, *, full: bool) -> list[RenderableType]:
    lines: list[RenderableType] = [Text.assemble((safe(f"step {pair.step}"), "bold"), f" · {', '.join(pair.changes)}")]
    for sign, side, style in (("-", pair.one, "red"), ("+", pair.other, "green")):
        if side is None:
            continue
        note = f" · {side.note}" if side.note else ""
        lines.append(Text(safe(f"  {sign} {side.line()}{note}"), style=style))
        if "input" in pair.changes:
            lines.append(Text(safe(f"    asked: {_shown(side.input, full=full)}")))
        if full and side.answer:
            lines += [Rule(style="dim"), Text(safe(side.answer))]
        elif side.answer:
            lines.append(Text(safe(f"    {_shown(side.answer)}")))
    return lines


def _shown(text: str, *, full: bool = False) -> str:
    line = " ".join(text.split())
    return line if full or len(line) <= SHORT else f"{line[: SHORT - 1]}…"
