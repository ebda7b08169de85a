"""The page of a refund: how much, approved by whom, and what every step changed."""

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.printing import plain
from outlast.cli.rendering import STYLES, money, safe
from outlast.cli.result_texts import Reader
from samples.refund.contracts import RefundOutcome, RefundResult

LEFT_OUT = ("report", "changes", "budget")
"""The first is a reference; every page shows the others."""


@dataclass(frozen=True)
class RefundPage:
    """The result of a refund."""

    result: RefundResult

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: nothing was refunded."""
        if self.result.outcome is RefundOutcome.REFUNDED:
            return ""
        return f"nothing was refunded: {self._why}"

    @property
    def headline(self) -> str:
        """What was refunded, or why nothing was."""
        return self._line

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [("", self.headline)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {
            name: plain(getattr(self.result, name)) for name in type(self.result).model_fields if name not in LEFT_OUT
        }

    def lines(self) -> list[RenderableType]:
        """Show the amount, who agreed, and the notes."""
        result = self.result
        people = f"approved by {', '.join(result.approved_by)} at {result.gate}" if result.approved_by else ""
        return [
            Text(safe(self._line)),
            *([Text(safe(f"because: {result.reason}"))] if result.reason else []),
            *([Text(safe(people))] if people else []),
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {money(result.spend)}"),
        ]

    @property
    def _line(self) -> str:
        amount = f" · {self.result.amount_cents / 100:.2f}" if self.result.amount_cents else ""
        return f"order {self.result.order}: {self._why}{amount}"

    @property
    def _why(self) -> str:
        if self.result.outcome is RefundOutcome.ELSEWHERE:
            return f"{self.result.outcome}; it belongs to {self.result.category}"
        return str(self.result.outcome)


async def read_refund(_: Reader, result: RefundResult) -> RefundPage:
    """Make the page; a refund keeps no long texts."""
    return RefundPage(result)


PAGE = ResultPage(RefundResult, read_refund)
