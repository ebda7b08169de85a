"""Where each request of a run went, and what its handlers answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.rule import Rule
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, safe, seconds
from outlast.cli.result_texts import Reader
from outlast.routing.requests import RouteAnswer, RouteOutcome, RouteResult


@dataclass(frozen=True)
class ReadAnswer:
    """One handler's answer with its texts: the answer itself, and what the routing model filled in for it."""

    answer: RouteAnswer
    text: str
    filled: str


@dataclass(frozen=True)
class ReadRequest:
    """One request's outcome with the texts of its answers."""

    outcome: RouteOutcome
    answers: tuple[ReadAnswer, ...]


@dataclass(frozen=True)
class RequestPage:
    """The result of a routing run, texts resolved."""

    result: RouteResult
    requests: tuple[ReadRequest, ...]

    @property
    def headline(self) -> str:
        """Where each request went."""
        return ", ".join(f"{one.name}: {_routes(one)}" for one in self.result.outcomes)

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: requests that failed."""
        failed = [f"{one.name}: {one.error}" for one in self.result.outcomes if one.error]
        return (
            f"{len(failed)} of {counted(len(self.requests), 'request')} failed: {'; '.join(failed)}" if failed else ""
        )

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [(one.outcome.name, "\n\n".join(answer.text for answer in one.answers)) for one in self.requests]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        requests = [
            {
                **plain(read.outcome),
                "answers": [
                    {**plain(each.answer), "content": each.text, "filled": each.filled} for each in read.answers
                ],
            }
            for read in self.requests
        ]
        return {"state": self.result.state, "requests": requests, "spend": plain(self.result.spend)}

    def lines(self) -> list[RenderableType]:
        """Show what became of each request."""
        parts: list[RenderableType] = []
        for read in self.requests:
            parts += [*_request(read), Text()]
        state = self.result.state
        total = f" · {counted(len(self.requests), 'request')} · {money(self.result.spend)}"
        return [*parts, Text.assemble((state, STYLES[state]), total)]


async def read_requests(reader: Reader, result: RouteResult) -> RequestPage:
    """Read the answers to every request."""
    requests = []
    for outcome in result.outcomes:
        answers = [
            ReadAnswer(answer, await reader.text(answer.content), await reader.text(answer.filled))
            for answer in outcome.answers
        ]
        requests.append(ReadRequest(outcome, tuple(answers)))
    return RequestPage(result, tuple(requests))


def _request(read: ReadRequest) -> Iterable[RenderableType]:
    outcome = read.outcome
    sure = f" · {outcome.confidence:.0%} sure" if outcome.confidence is not None else ""
    yield Rule(Text(safe(f"{outcome.name} · {_routes(outcome)}{sure}")), align="left")
    if outcome.error:
        yield Text(safe(outcome.error), style="red")
    for each in read.answers:
        yield from _answer(each, failed=bool(outcome.error))
    yield from (Text(safe(f"note: {note}"), style="yellow") for note in outcome.notes)
    yield Text(seconds(outcome.seconds), style="dim")


def _routes(outcome: RouteOutcome) -> str:
    return " + ".join(answer.category for answer in outcome.answers) or "failed"


def _answer(read: ReadAnswer, *, failed: bool) -> Iterable[RenderableType]:
    ticket = read.answer.ticket
    if ticket is not None:
        yield Text.assemble((f"ticket ({ticket.priority}): ", "bold"), safe(ticket.title))
    if read.filled:
        yield Text.assemble(("noted: ", "bold"), safe(read.filled))
    if read.text:
        yield Text.assemble((f"{read.answer.agent}: ", "bold"), safe(read.text))
    if read.answer.error and not failed:
        yield Text(safe(f"{read.answer.agent}: {read.answer.error}"), style="red")


PAGE = ResultPage(RouteResult, read_requests)
