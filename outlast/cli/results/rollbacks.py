"""What came of the rollback of an ended run; every page lists the changes themselves."""

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.cli.kinds import ResultPage
from outlast.cli.rendering import STYLES, safe
from outlast.cli.result_texts import Reader
from outlast.contracts import RollbackResult, RunState


@dataclass(frozen=True)
class RollbackPage:
    """The result of a rollback."""

    result: RollbackResult

    @property
    def complaint(self) -> str:
        """What makes the exit code 1: something is left."""
        return "" if self.result.state is RunState.COMPLETED else "not every change could be undone"

    @property
    def headline(self) -> str:
        """How many changes were undone."""
        return f"{self.result.run} is rolled back: {self.result.changes.summary or 'nothing was changed'}"

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [("", self.headline)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        return {"state": self.result.state, "run": self.result.run}

    def lines(self) -> list[RenderableType]:
        """Show the summary."""
        return [Text(safe(self.headline)), Text(self.result.state, style=STYLES[self.result.state])]


async def read_rollback(_: Reader, result: RollbackResult) -> RollbackPage:
    """Make the page; a rollback keeps no texts."""
    return RollbackPage(result)


PAGE = ResultPage(RollbackResult, read_rollback)
