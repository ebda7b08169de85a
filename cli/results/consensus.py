"""What a consensus came to: the verdict and every vote, or what free analyses agree on and dispute."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, row, safe, table
from outlast.cli.result_texts import Reader
from outlast.consensus.contracts import Agreement, Firmness, Point
from outlast.consensus.votes import ConsensusResult, Vote, VoteState

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

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        cast = [
            f"{vote.voter}: {vote.verdict or vote.state}. {self.reasons(vote) or vote.error}"
            for vote in self.result.votes
        ]
        return [("", "\n".join([self.headline, "", *cast]))]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        votes = [{**plain(vote), "full": self.answers.get(vote.voter, "")} for vote in self.result.votes]
        return {**plain(self.result), "votes": votes}

    def lines(self) -> list[RenderableType]:
        """Show the verdict, the votes, and what they cost."""
        result = self.result
        made = table("", "voter", "verdict", "sure", "weight", "cost", "reasons or error")
        for vote in result.votes:
            row(made, *_cells(vote, self.reasons(vote)))
        if result.ruling is not None:
            row(made, *_cells(result.ruling, self.reasons(result.ruling)))
        return [
            *self._verdict(),
            Text(),
            made,
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]

    def reasons(self, vote: Vote) -> str:
        """Return the reasons of a vote in full: the vote itself holds only their beginning."""
        try:
            data = json.loads(self.answers.get(vote.voter, ""))
        except ValueError:
            return vote.reasons
        whole = data.get("reasons") if isinstance(data, dict) else None
        return whole if isinstance(whole, str) and whole.strip() else vote.reasons

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


@dataclass(frozen=True)
class AgreementPage:
    """The result of free analyses; `agreement` holds all points, `answers` the analysts' whole answers (JSON), by name."""

    result: ConsensusResult
    agreement: Agreement
    answers: dict[str, str]
    complaint: str = ""

    @property
    def headline(self) -> str:
        """The overall answer and how firm it is."""
        return f"{self.agreement.answer or 'no overall answer'} · {self._counts()}"

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        agreed = [f"agreed: {point.positions[0].position}" for point in self.agreement.agreed]
        return [("", "\n".join([self.headline, *agreed]))]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        votes = [{**plain(vote), "full": self.answers.get(vote.voter, "")} for vote in self.result.votes]
        return {**plain(self.result), "findings": plain(self.agreement), "votes": votes}

    def lines(self) -> list[RenderableType]:
        """Show the answer, then what is agreed, what is disputed, what one analyst saw, and who took part."""
        found, result = self.agreement, self.result
        return [
            Text.assemble(("answer: ", "bold"), safe(found.answer or "no overall answer")),
            Text(self._counts(), style="green" if found.firmness is Firmness.FIRM else "yellow"),
            *self._points("agreed", found.agreed),
            *self._points("disputed", found.disputed),
            *self._points("seen by one analyst alone", found.single),
            Text(),
            *(_took_part(vote) for vote in result.votes),
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]

    def _counts(self) -> str:
        found = self.agreement
        quotes = [quote for claim in found.claims for quote in claim.evidence]
        stand = sum(quote.found for quote in quotes)
        return (
            f"{found.firmness}: {len(found.agreed)} agreed, {len(found.disputed)} disputed, {len(found.single)} seen by one "
            f"alone · {stand} of {counted(len(quotes), 'quote')} found in the document"
        )

    def _points(self, title: str, points: Sequence[Point]) -> Iterator[Text]:
        if points:
            yield Text()
            yield Text(title, style="bold")
        asked = sum(vote.state is VoteState.CAST for vote in self.result.votes)
        for point in points:
            several = len(point.positions) > 1
            yield Text(safe(f"• {point.statement if several else point.positions[0].position}"))
            for position in point.positions:
                says = f"{position.position} — " if several else ""
                yield Text(safe(f"    {says}{len(position.by)} of {asked}: {', '.join(position.by)}"), style="cyan")
                for quote in position.evidence:
                    where = quote.place or "not found in the document"
                    yield Text(safe(f'      "{quote.text}" ({where})'), style="dim" if quote.found else "yellow")


async def read_consensus(reader: Reader, result: ConsensusResult) -> ConsensusPage | AgreementPage:
    """Read the analysts' answers, and the points where they analysed freely."""
    voters = (*result.votes, *([result.ruling] if result.ruling else []))
    answers = {vote.voter: await reader.text(vote.full) for vote in voters}
    if result.findings is None:
        return ConsensusPage(result, answers)
    return AgreementPage(result, Agreement.model_validate_json(await reader.text(result.findings.full)), answers)


def _took_part(vote: Vote) -> Text:
    sign, style = MARKS[vote.state]
    sign = "✓ answered" if vote.state is VoteState.CAST else sign
    line = f"  {vote.voter}: {vote.reasons or vote.error} · {counted(vote.spend.calls, 'call')}"
    return Text.assemble((sign, style), safe(line))


def _cells(vote: Vote, reasons: str) -> Iterator[str | Text]:
    yield Text(*MARKS[vote.state])
    yield vote.voter
    yield vote.verdict
    yield "" if vote.confidence is None else f"{vote.confidence:.0%}"
    yield f"{vote.weight:g}"
    yield counted(vote.spend.calls, "call")
    yield reasons or vote.error


PAGE = ResultPage(ConsensusResult, read_consensus)
