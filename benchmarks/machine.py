"""The machine a figure was taken on: what it is, how fast it is just now, and how much of it others use.

Other people's work on the same cores changes every time. So each figure carries the cores that others used and
the time of a fixed loop, and times are compared only within one run.
"""

import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outlast.devstack.server import find_temporal

PACKAGES = ("temporalio", "pydantic", "obstore", "anthropic")
TICKS = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """Describe the machine and the versions that were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    server = subprocess.run([find_temporal(), "--version"], capture_output=True, text=True, check=True)
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "temporal": server.stdout.strip(),
        **{name: version(name) for name in PACKAGES},
    }


def commit() -> str:
    """Name the commit that is measured, marked if files differ from it; empty outside a repository."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def calibration_ms() -> float:
    """Time a fixed loop of pure Python, in milliseconds (the best of five)."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        total = 0
        for number in range(200_000):
            total += number * number % 7
        best = min(best, time.perf_counter() - started)
    return round(best * 1e3, 1)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory_mb(pid: int) -> float:
    """Return the largest resident memory a process has had (VmHWM), in MB of 2**20 bytes."""
    return _status_mb(pid, "VmHWM")


def memory_mb(pid: int) -> float:
    """Return the resident memory that a process has now, in MB of 2**20 bytes."""
    return _status_mb(pid, "VmRSS")


def _status_mb(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024, 1)


def reset_peak_memory(pid: int) -> None:
    """Start the peak of a process anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Load:
    """How many cores were busy since it was made: ours (`pids` and this process) and others'."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        busy = (fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / TICKS
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(map(cpu_seconds, self._pids))
        return time.time(), busy, own

    def others(self) -> float:
        """Return the cores that others used on average."""
        (then, busy_then, own_then), (now, busy_now, own_now) = self._start, self._now()
        return round(max(0.0, (busy_now - busy_then) - (own_now - own_then)) / max(now - then, 1e-3), 2)


def wait_for_quiet(pids: Sequence[int], limit: float = 0.3, patience: float = 10.0) -> None:
    """Wait until others use less than `limit` cores, but no longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        load = Load(pids)
        time.sleep(0.25)
        if load.others() < limit:
            return


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Summarise repetitions as median, smallest, largest and their number."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "n": len(values),
    }
