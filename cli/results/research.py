"""What a research gave: the answer with its sources, and what each source gave or why it did not."""

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, row, safe, seconds, table
from outlast.cli.result_texts import Reader, cut
from workflows.contracts.research import ResearchResult


@dataclass(frozen=True)
class ResearchPage:
    """The result of a research, its texts resolved; `notes` are those of each entry of the result's sources, in their order."""

    result: ResearchResult
    answer: str
    notes: tuple[str, ...]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed; gaps are none, as long as enough sources answered."""
        return ""

    @property
    def headline(self) -> str:
        """Which sources gave findings, which did not, and the answer."""
        sources = ", ".join(
            f"{one.source}: {counted(one.findings, 'finding') if one.findings else 'gap'}"
            for one in self.result.sources
            if one.round == 1
        )
        return f"{sources} · {self.answer}"

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [(cut(self.result.notes), self.answer)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        sources = [
            {**plain(outcome), "notes": notes} for outcome, notes in zip(self.result.sources, self.notes, strict=True)
        ]
        return {**plain(self.result), "answer": self.answer, "sources": sources}

    def lines(self) -> list[RenderableType]:
        """Show the answer, the sources, gaps and totals."""
        result = self.result
        made = table("source", "agent", "findings", "time", "gap")
        for outcome in result.sources:
            source = outcome.source if outcome.round == 1 else f"{outcome.source}, round {outcome.round}"
            row(made, source, outcome.agent, str(outcome.findings), seconds(outcome.seconds), outcome.gap)
        return [
            *([Text(safe(self.answer)), Text()] if self.answer else []),
            made,
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]


async def read_research(reader: Reader, result: ResearchResult) -> ResearchPage:
    """Read the answer and the notes of each source."""
    notes = tuple([await reader.text(outcome.notes) for outcome in result.sources])
    return ResearchPage(result, await reader.text(result.answer), notes)


PAGE = ResultPage(ResearchResult, read_research)
