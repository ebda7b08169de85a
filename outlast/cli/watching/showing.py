"""Where a watched run is shown: a live table in a terminal, with texts running above it, and plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from outlast.cli import rendering as pages
from outlast.cli.leaving import say
from outlast.cli.watching.lines import Lines
from outlast.cli.watching.page import live_page
from outlast.cli.watching.steps import Look


class Display(Protocol):
    """Shows looks, tells of outages, and prints texts."""

    def show(self, look: Look) -> None:
        """Show how the run stands."""
        ...

    def print_line(self, line: str) -> None:
        """Print a line beside the run."""
        ...

    def write(self, line: str) -> None:
        """Print a line that stays."""
        ...


class Plain:
    """Lines on stdout for each change, and outages on stderr."""

    def __init__(self, *, texts: bool) -> None:
        self._lines = Lines()
        self._texts = texts

    def show(self, look: Look) -> None:
        """Print what is new; the texts, where they are shown, tell of a retry themselves."""
        if self._texts:
            look = replace(look, retries=())
        for line in self._lines.of(look):
            print(line, flush=True)

    def print_line(self, line: str) -> None:
        """Print the line on stderr."""
        say(line)

    def write(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)


class Table:
    """A table at the foot of the terminal; whatever is printed runs above it."""

    def __init__(self, live: Live, out: Console) -> None:
        self._live = live
        self._out = out

    def show(self, look: Look) -> None:
        """Draw the table anew."""
        self._live.update(live_page(look, height=self._out.height - 1, width=self._out.width), refresh=True)

    def print_line(self, line: str) -> None:
        """Print it above the table."""
        self._out.print(Text(line, style="yellow"), soft_wrap=True)

    def write(self, line: str) -> None:
        """Print it above the table."""
        self._out.print(Text(line), soft_wrap=True)


@contextmanager
def displayed(*, texts: bool = False) -> Iterator[Display]:
    """Choose how to show a run, with the texts of its models or without."""
    if not sys.stdout.isatty():
        yield Plain(texts=texts)
        return
    out = pages.console()
    with Live(console=out, auto_refresh=False) as live:
        yield Table(live, out)
