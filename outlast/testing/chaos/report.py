"""The report of a chaos run: a table of faults, a table of scenarios, and what should not be."""

import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from outlast.testing.chaos.contracts import FINDINGS, KINDS, Case, Fault

BEGIN, END = "<!-- chaos: written by the run -->", "<!-- end of chaos -->"


@dataclass(frozen=True)
class Report:
    """What became of all cases."""

    cases: list[Case]

    @property
    def wrong(self) -> dict[int, dict[str, list[str]]]:
        """What should not be, by seed and kind; empty where all is well."""
        return {case.seed: found for case in self.cases if (found := case.wrong())}

    @property
    def faults(self) -> int:
        """How many faults struck."""
        return sum(len(case.strikes) for case in self.cases)

    @property
    def runs(self) -> Counter[str]:
        """How many runs of each scenario there were."""
        return sum((case.runs for case in self.cases), Counter())

    def table(self) -> str:
        """Write it all as Markdown."""
        return "\n\n".join((self._counts(), self._faults(), self._scenarios()))

    def _counts(self) -> str:
        counts = [("faults", self.faults), ("runs", self.runs.total())]
        counts.append(("model calls", sum(case.calls for case in self.cases)))
        counts.append(("calls made again after a kill or a cut", sum(case.excused for case in self.cases)))
        for name, words in FINDINGS.items():
            counts.append((words, sum(len(getattr(case, name)) for case in self.cases)))
        return _rows(("counted", "number"), ((f"{words}", f"{number:,}") for words, number in counts))

    def _faults(self) -> str:
        lines = []
        for fault in Fault:
            strikes = [strike for case in self.cases for strike in case.strikes if strike.fault is fault]
            waited = [strike.progress for strike in strikes if strike.progress is not None]
            median = f"{statistics.median(waited):.1f}" if waited else "–"
            longest = f"{max(waited):.1f}" if waited else "–"
            if strikes:
                lines.append((f"`{fault}`", KINDS[fault].what, str(len(strikes)), median, longest))
        return _rows(("fault", "what happens", "times", "seconds to progress, median", "longest"), lines)

    def _scenarios(self) -> str:
        return _rows(("scenario", "runs"), ((name, str(times)) for name, times in sorted(self.runs.items())))

    def write(self, page: Path) -> None:
        """Put the tables between the markers of a page; raises ValueError where it has none."""
        before, begin, rest = page.read_text().partition(BEGIN)
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise ValueError(f"{page} has no place for the tables: write {BEGIN} and {END} there")
        page.write_text(f"{before}{BEGIN}\n\n{self.table()}\n\n{END}{after}")


def _rows(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    written = [head, tuple("---" for _ in head), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in written)
