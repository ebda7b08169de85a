"""All runs at once: a line for each change, or a table. Pure: what each look at the namespace found in, lines or a table out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from outlast.cli.printing import counted
from outlast.cli.rendering import duration, money, row, safe, table
from outlast.cli.runs.listing import STYLES
from outlast.cli.watching.page import gate_line, tokens
from outlast.cli.watching.steps import look_at
from outlast.command_line import command
from outlast.contracts import GateView, RunStatus, Trace

ENDED_SHOWN = 8
"""Runs that have ended and stay in the table."""


@dataclass(frozen=True)
class RunSeen:
    """A run as the index shows it, with its gates; `status` is the last answer of its worker, None before the first."""

    id: str
    run_id: str
    kind: str
    state: str
    started: datetime
    closed: datetime | None
    gates: tuple[GateView, ...] = ()
    status: RunStatus | None = None

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return self.closed is None

    @property
    def progress(self) -> str:
        """How many of its steps are done, "" where no worker has answered."""
        return look_at(self.status, Trace()).progress if self.status and self.status.steps else ""

    @property
    def outcome(self) -> str:
        """How it ended: by its own word (partial, stopped), where the server says no more than completed."""
        own = self.status.state if self.status and self.state == "completed" else ""
        return self.state if not own or own == "running" else str(own)


class Board:
    """What was shown of each run; a run that continues as new stays the same run."""

    def __init__(self) -> None:
        self.running: dict[str, RunSeen] = {}
        self.ended: list[RunSeen] = []
        self._ended_seen: set[str] = set()
        self._gates: dict[str, tuple[str, ...]] = {}

    def take(self, runs: Iterable[RunSeen]) -> Iterator[str]:
        """Take what a look found; returns the lines for what has changed since the last one."""
        seen = sorted(runs, key=lambda run: run.started)
        for run in seen:
            if run.running and run.run_id not in self._ended_seen:
                yield from self._runs(run)
        for run in seen:
            if not run.running and run.run_id not in self._ended_seen:
                yield from self._ends(run)

    def _runs(self, run: RunSeen) -> Iterator[str]:
        before = self.running.get(run.id)
        if before is not None and before.run_id == run.run_id and run.status is None:
            run = replace(run, status=before.status)
        self.running[run.id] = run
        if before is None:
            yield safe(f"running · {run.id} · {run.kind}" + (f" · {run.progress}" if run.progress else ""))
        elif run.progress != before.progress:
            yield safe(f"{run.id} · {_standing(run)}")
        lines = tuple(gate_line(run.id, gate, gate.deadline) for gate in run.gates)
        now = datetime.now(UTC)
        for gate, line in zip(run.gates, lines, strict=True):
            if line not in self._gates.get(run.id, ()):
                yield safe(f"{run.id}: {gate_line(run.id, gate, now)}")
        self._gates[run.id] = lines

    def _ends(self, run: RunSeen) -> Iterator[str]:
        self._ended_seen.add(run.run_id)
        if run.state == "continued as new":
            return
        if (known := self.running.get(run.id)) and known.run_id == run.run_id:
            del self.running[run.id]
        self._gates.pop(run.id, None)
        self.ended = [*self.ended, run][-ENDED_SHOWN:]
        facts = [run.outcome, run.id, run.kind, duration(run.started, run.closed), _standing(run)]
        yield safe(" · ".join(filter(None, facts)) + f" → {command('result', run.id)}")

    def table(self, height: int) -> RenderableType:
        """Show what runs, those that wait for people first, and what has ended last."""
        waiting_first = sorted(self.running.values(), key=lambda run: (not run.gates, -run.started.timestamp()))
        runs = [*waiting_first, *reversed(self.ended)]
        lines = [
            f"{run.id}: {gate_line(run.id, run.gates[0], datetime.now(UTC))}" for run in waiting_first if run.gates
        ]
        lines = lines[: max(height // 3, 1)]
        shown = runs[: max(height - len(lines) - 3, 3)]
        made = table("id", "type", "state", "steps", "calls", "tokens", "USD", "took")
        for run in shown:
            spend = run.status.spend if run.status else None
            word = run.outcome if not run.running else "waits" if run.gates else "running"
            row(
                made, run.id, run.kind, Text(word, style=STYLES.get(word, "yellow")), run.progress,
                str(spend.calls) if spend else "", tokens(spend) if spend else "",
                f"{spend.usd:.4f}" if spend else "", duration(run.started, run.closed),
            )  # fmt: skip
        head = Text(
            f"{counted(len(self.running), 'run')} going on, {sum(bool(run.gates) for run in runs)} waiting for people"
        )
        return Group(head, made, _left_out(runs, shown), *(Text(safe(line), style="bold") for line in lines))


def _standing(run: RunSeen) -> str:
    return " · ".join(filter(None, (run.progress, money(run.status.spend) if run.status else "")))


def _left_out(runs: Sequence[RunSeen], shown: Sequence[RunSeen]) -> Text:
    missing = len(runs) - len(shown)
    return Text(f"… and {missing} more" if missing else "", style="dim")
