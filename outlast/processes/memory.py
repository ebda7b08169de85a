"""How a worker process treats its memory: it runs for weeks, and one large text must not cost it for good."""

import ctypes
import gc
import os
from contextlib import suppress

LARGE = 256 * 1024
"""Bytes from which on a block of memory is the kernel's own, and goes back to it at once."""
M_MMAP_THRESHOLD = -3


def prepare() -> None:
    """Have large blocks of memory returned; called before anything large is made.

    Once a large block was freed, glibc takes all up to that size from its heap, where small ones that come to lie behind them
    keep them: a plan of thousands of steps, read again whenever its run continues as new, left 60 MB there.
    """
    if "MALLOC_MMAP_THRESHOLD_" in os.environ or "mmap_threshold" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    with suppress(AttributeError, OSError, TypeError):  # not with musl, on macOS or Windows
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


def started() -> None:
    """Let Python look for garbage as a worker needs it, once all is made that stays.

    What the start made stays; looking through it for garbage holds every call up for a fifth of a second each time. And with
    Python's own threshold, a busy worker spends a twentieth of its time looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
