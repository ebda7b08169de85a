"""What one piece of content may cost to parse."""

import math
import os
import resource
import sys
import threading
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

MEMORY_BYTES = 512 * 1024 * 1024
"""Most memory that a parser process may take on top of what it has when it starts."""
OUTPUT_BYTES = 64 * 1024 * 1024
"""Longest text that parsing may give, in bytes of UTF-8."""
CPU_SECONDS = 8
"""Most computing time for one piece of content of up to `FREE_BYTES`."""
FREE_BYTES = 5 * 1024 * 1024
SECONDS_PER_MEGABYTE = 1.0
"""Additional computing time for each megabyte beyond `FREE_BYTES`."""
SECONDS_PER_PAGE = 0.1
"""Additional computing time for each page of a PDF that was read: long files may take longer, stuck ones may not."""
SILENT_SECONDS = 60.0
"""Longest time without a sign of life: the computing time is what counts, this only catches a process that waits or a machine
that has no time for it."""
MEMORY_EXIT = 77
"""Exit status of a parser process that ran out of memory."""


class Limit(StrEnum):
    """Which limit ended the parsing of a piece of content."""

    MEMORY = "memory"
    TIME = "time"
    OUTPUT = "output"
    CRASH = "crash"


class ParsingStoppedError(Exception):
    """Content was given up because it reached a limit; the message says which, to follow the name of the content."""

    def __init__(self, limit: Limit, message: str) -> None:
        super().__init__(message)
        self.limit = limit


def cpu_seconds(size: int) -> float:
    """Return the computing time for content of that many bytes."""
    return CPU_SECONDS + max(0, size - FREE_BYTES) / 1024**2 * SECONDS_PER_MEGABYTE


def restrict_process(memory: int) -> None:
    """Hold this process to that many bytes more than it has now; it writes no files and leaves no core dump."""
    with suppress(OSError):
        # Where a container is out of memory, this process is to go, not the worker.
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = memory_in_use() + memory
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    else:
        # macOS does not enforce RLIMIT_AS, so a thread looks at what the process has taken.
        threading.Thread(target=_watch_memory, args=(memory_in_use() + memory,), daemon=True).start()


def restrict_computing(seconds: float | None) -> None:
    """Let the system kill this process after so many more seconds of computing; None lifts the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = hard if seconds is None else math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def memory_in_use() -> int:
    """Return the memory of this process in bytes: address space on Linux, the most it ever held elsewhere."""
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _watch_memory(most: int) -> None:
    while memory_in_use() <= most:
        time.sleep(0.05)
    os._exit(MEMORY_EXIT)
