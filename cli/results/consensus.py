"""What a consensus came to: the verdict, every vote with its reasons, who dissented, and who decided in the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cli.pages import STYLES, money, row, safe, table
from cli.printing import counted, plain
from cli.results.reading import Reader
from workflows.contracts import ConsensusResult, Vote, VoteState

MARKS = {
    VoteState.CAST: ("✓ cast", "green"),
    VoteState.FAILED: ("✗ failed", "red"),
    VoteState.CANCELLED: ("– cancelled", "dim"),
}


@dataclass(frozen=True)
class ConsensusPage:
    """The result of a consensus; `answers` are the voters' whole answers (JSON), by voter."""

    result: ConsensusResult
    answers: dict[str, str]

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: that there is no verdict."""
        return "" if self.result.verdict else f"no verdict: {'; '.join(self.result.notes)}"

    @property
    def headline(self) -> str:
        """The verdict and how it came about, and who dissented."""
        return " · ".join(line.plain for line in self._verdict())

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        votes = [{**plain(vote), "full": self.answers.get(vote.voter, "")} for vote in self.result.votes]
        return {**plain(self.result), "votes": votes}

    def lines(self) -> list[RenderableType]:
        """Show the verdict, the votes, and what they cost."""
        result = self.result
        made = table("", "voter", "verdict", "sure", "weight", "cost", "reasons or error")
        for vote in result.votes:
            row(made, *_cells(vote))
        if result.ruling is not None:
            row(made, *_cells(result.ruling))
        return [
            *self._verdict(),
            Text(),
            made,
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]

    def _verdict(self) -> Iterator[Text]:
        result = self.result
        cast = sum(vote.state is VoteState.CAST for vote in result.votes)
        counts = f"{cast} of {counted(len(result.votes), 'vote')} cast"
        if result.verdict:
            yield Text.assemble(("verdict: ", "bold"), safe(result.verdict), f" · by {result.decided_by} · {counts}")
        else:
            yield Text.assemble(("no verdict", "bold red"), f" · {counts}")
        if result.dissent:
            yield Text(safe(f"dissent: {', '.join(result.dissent)}"), style="yellow")


async def read_consensus(reader: Reader, result: ConsensusResult) -> ConsensusPage:
    """Read the voters' answers."""
    return ConsensusPage(result, {vote.voter: await reader.text(vote.full) for vote in result.votes})


def _cells(vote: Vote) -> Iterator[str | Text]:
    yield Text(*MARKS[vote.state])
    yield vote.voter
    yield vote.verdict
    yield "" if vote.confidence is None else f"{vote.confidence:.0%}"
    yield f"{vote.weight:g}"
    yield counted(vote.spend.calls, "call")
    yield vote.reasons or vote.error
