"""What people see of the stack: a row for each part while it starts, and a report of everything that goes wrong later.

Log lines are shown as they are, so they must not be read as markup, wrapped or coloured.
"""

from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text


class Board:
    """Shows events of the stack: moving rows on a terminal while it starts, plain lines elsewhere and afterwards."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._rows: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.fields[part]:<8}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )

    def open(self, names: Sequence[str]) -> None:
        """Begin to show the start of these parts."""
        self._progress.start()
        self._rows = {name: self._progress.add_task("waits", total=1, part=name, start=False) for name in names}

    def close(self) -> None:
        """End the moving rows, and leave them as they are."""
        self._progress.stop()
        self._rows = {}

    def starting(self, name: str) -> None:
        """Show that a part was started."""
        if name in self._rows:
            self._progress.start_task(self._rows[name])
        self._now(name, "starts")

    def ready(self, name: str, seconds: float) -> None:
        """Show that a part is healthy."""
        if name in self._rows:
            self._progress.update(self._rows[name], completed=1)
        self._now(name, f"healthy after {seconds:.1f} s")

    def ended(self, name: str, how: str, lines: Sequence[str], then: str) -> None:
        """Report a part that ended or never got healthy, with its last log lines and what happens now."""
        self.say(f"✗ {name}: {how}. Its last log lines:", "bold red")
        for line in lines or ["(it wrote nothing)"]:
            self.say(f"  │ {line}", "dim")
        self.say(f"  {then}", "bold red")

    def say(self, text: str, style: str = "") -> None:
        """Show a line as it is; where the terminal is gone, the stack still has to end in order."""
        with suppress(OSError, SystemExit):  # A broken pipe makes rich leave.
            self.console.print(Text(text, style=style), soft_wrap=True)

    def _now(self, name: str, text: str) -> None:
        if name in self._rows:
            self._progress.update(self._rows[name], description=text)
        if name not in self._rows or not self.console.is_terminal:
            self.say(f"{name}: {text}")
