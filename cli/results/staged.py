"""What a staged delivery gave: the last stage's output in full, and what each stage took to get there."""

import json
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, row, safe, table
from outlast.cli.result_texts import Reader, cut
from outlast.command_line import command
from outlast.display import quoted
from outlast.stages.contracts import StagedResult, StageOutput


@dataclass(frozen=True)
class ReadStage:
    """One stage's output with its text, and its data where it is typed."""

    output: StageOutput
    text: str
    data: Any


@dataclass(frozen=True)
class StagedPage:
    """The result of the run of that id, texts resolved."""

    run_id: str
    result: StagedResult
    stages: tuple[ReadStage, ...]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed; a run that gave all its outputs has none."""
        return ""

    @property
    def headline(self) -> str:
        """Which stages gave an output, in how many steps or with which score, which one failed, and the last text."""
        stages = [_in_short(read.output) for read in self.stages]
        failed = [f"{self.result.failed}: failed"] if self.result.failed else []
        return f"{', '.join([*stages, *failed])} · {self.stages[-1].text if self.stages else ''}"

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [(f"{one.output.stage}{cut(one.output.notes)}", one.text) for one in self.stages[-1:]]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        stages = [{**plain(read.output), "content": read.text, "data": read.data} for read in self.stages]
        return {**plain(self.result), "stages": stages}

    def lines(self) -> list[RenderableType]:
        """Show the last output, unless the run failed before it; every stage; and how to go on."""
        result = self.result
        made = table("stage", "steps", "score", "rounds", "attempts", "output")
        for read in self.stages:
            output = read.output
            score = "" if output.score is None else str(output.score)
            rounds = str(output.rounds) if output.rounds else ""
            shown = output.content.summary or read.text[:200]
            row(made, output.stage, str(output.steps), score, rounds, str(output.attempts), " ".join(shown.split()))
        whole = bool(self.stages) and not result.failed
        resume = f"go on from there: {command('staged')} --resume {quoted(self.run_id)}"
        onwards, stopped = f"stage {result.failed!r} failed; {resume}", f"{result.stopped}; {resume}"
        return [
            *([Text(safe(self.stages[-1].text)), Text()] if whole else []),
            made,
            *(
                Text(safe(f"note: {read.output.stage}: {note}"), style="yellow")
                for read in self.stages
                for note in read.output.notes
            ),
            *([Text(safe(stopped), style="yellow")] if result.stopped else []),
            *([Text(safe(onwards), style="yellow")] if result.failed else []),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]


async def read_staged(reader: Reader, result: StagedResult) -> StagedPage:
    """Read the output of every stage."""
    stages = []
    for output in result.stages:
        data = json.loads(await reader.text(output.data)) if output.data else None
        stages.append(ReadStage(output, await reader.text(output.content), data))
    return StagedPage(reader.run_id, result, tuple(stages))


def _in_short(output: StageOutput) -> str:
    return f"{output.stage}: " + (counted(output.steps, "step") if output.score is None else f"{output.score} of 100")


PAGE = ResultPage(StagedResult, read_staged)
