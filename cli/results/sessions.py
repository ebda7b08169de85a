"""What an agent's session gave."""

from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from outlast.agents.sessions import AgentSessionResult
from outlast.cli.kinds import ResultPage
from outlast.cli.printing import counted, plain
from outlast.cli.rendering import STYLES, money, safe
from outlast.cli.result_texts import Reader


@dataclass(frozen=True)
class SessionPage:
    """The result of an agent's session, its answer resolved."""

    result: AgentSessionResult
    answer: str

    @property
    def complaint(self) -> str:
        """What makes the exit code 1 although the run completed: a limit that ended it."""
        return f"the agent stopped: {self.result.stopped}" if self.result.stopped else ""

    @property
    def headline(self) -> str:
        """What the agent answered, and after how many tool calls."""
        return f"{counted(self.result.progress.tool_calls, 'tool call')} · {self.answer}"

    def texts(self) -> list[tuple[str, str]]:
        """Return what came out in full, each text with its title."""
        return [("", self.answer)]

    def data(self) -> dict[str, Any]:
        """Return all of it as JSON data."""
        progress = self.result.progress
        return {
            "state": self.result.state,
            "answer": self.answer,
            "stopped": self.result.stopped,
            "turns": progress.turns,
            "tool_calls": progress.tool_calls,
            "notes": list(progress.notes),
            "spend": plain(self.result.spend),
        }

    def lines(self) -> list[RenderableType]:
        """Show what the agent answered, after how many turns and tool calls."""
        result = self.result
        done = f"{counted(result.progress.turns, 'turn')}, {counted(result.progress.tool_calls, 'tool call')}"
        return [
            Text(safe(self.answer)),
            Text(),
            *(Text(safe(f"note: {note}"), style="yellow") for note in result.progress.notes),
            Text.assemble((result.state, STYLES[result.state]), f" · {done} · {money(result.spend)}"),
        ]


async def read_session(reader: Reader, result: AgentSessionResult) -> SessionPage:
    """Read the answer."""
    return SessionPage(result, await reader.text(result.answer))


PAGE = ResultPage(AgentSessionResult, read_session)
