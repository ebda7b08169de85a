"""What a plan gave: answers in full, steps, repairs, totals; or, of a dry run, the plan and its shape."""

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import plain
from outlast.cli.rendering import STYLES, money, row, safe, steps_table, table
from outlast.cli.result_texts import Reader, cut
from outlast.contracts import PlanReport, PlanResult, PlanShape, RunState


@dataclass(frozen=True)
class PlanPage:
    """A plan's result with its report and the full text of each answer, by step."""

    result: PlanResult
    report: PlanReport
    answers: dict[str, str]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed; a plan with answers is none."""
        return ""

    @property
    def headline(self) -> str:
        """What the last steps answered."""
        return " ".join(self.answers.values())

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        notes = {row.step: (row.note,) for row in self.report.steps}
        return [(f"step {step}{cut(notes.get(step, ()))}", text) for step, text in self.answers.items()]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {
            "state": self.result.state,
            "answers": [{"step": step, "text": text} for step, text in self.answers.items()],
            **{name: getattr(self.result, name) for name in ("done", "failed", "skipped")},
            **plain(self.report),
            "spend": plain(self.result.spend),
        }

    def lines(self) -> list[RenderableType]:
        """Show answers, steps, repairs and totals."""
        report, result = self.report, self.result
        parts: list[RenderableType] = []
        for step, text in self.answers.items():
            parts += [Rule(Text(safe(f"answer of step {step}")), align="left"), Text(safe(text))]
            parts += [
                Text(safe(f"note: {one.note}"), style="yellow") for one in report.steps if one.step == step and one.note
            ]
            parts.append(Text())
        if dry(self):
            made = table("step", "agent", "waits for", "input")
            for planned in report.plan.steps:
                row(made, planned.step, planned.agent, ", ".join(planned.depends_on), planned.input)
            parts += [made, Text(), *shape_lines(report.shape, len(report.plan.steps))]
        elif report.steps:
            parts += [steps_table(report.steps)]
        parts += [
            Text(safe(f"changed by {change.stage}: {change.change}"), style="yellow") for change in report.changes
        ]
        counts = f"{result.done} done, {result.failed} failed, {result.skipped} skipped" if report.steps else "not run"
        if result.stopped:
            parts.append(Text(safe(result.stopped), style="yellow"))
        state = "valid" if dry(self) else result.state
        parts.append(Text.assemble((state, STYLES[result.state]), f" · {counts} · {money(result.spend)}"))
        return parts


async def read_plan(reader: Reader, result: PlanResult) -> PlanPage:
    """Read the report and the answers."""
    report = PlanReport.model_validate_json(await reader.text(result.report))
    return PlanPage(result, report, {answer.step: await reader.text(answer.content) for answer in result.answers})


def shape_lines(shape: PlanShape, steps: int) -> list[Text]:
    """Return which chain of steps decides how long a plan takes, where there is a chain, and what runs side by side."""
    path = " → ".join(shape.critical_path)
    text = f"{path} ({len(shape.critical_path)} of {steps} steps)"
    lines = [Text.assemble(("critical path: ", "bold"), text)] if len(shape.critical_path) > 1 else []
    for number, wave in enumerate(shape.waves, 1):
        how = "side by side" if len(wave) > 1 else "alone"
        lines.append(
            Text.assemble(
                (f"{'in parallel: ' if number == 1 else '       then: '}", "bold"), f"{', '.join(wave)} ({how})"
            )
        )
    return lines


def dry(page: PlanPage) -> bool:
    """Whether the plan was only made and checked, not run."""
    return page.result.state is RunState.COMPLETED and not page.answers and not page.report.steps


PAGE = ResultPage(PlanResult, read_plan)
