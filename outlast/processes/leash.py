"""Starts another program that ends with whoever starts it, however that ends.

    python -I -S leash.py PARENT SIGNAL PROGRAM ARGUMENT…

With a signal, it becomes the program, which gets that signal when its parent dies. With 0 it stays beside the program, and
kills the whole process group then: for programs that start others, such as `npx`, or do not notice the end of their input.

It exists because the alternative, a `preexec_fn`, runs Python between fork and exec in a process with threads, which can
hang. Linux sends the signal when the parent's *thread* ends, so only a thread that lasts may start programs. Elsewhere a program
that is stayed with ends a second later, and the others just run: the next `up` ends what was left.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 1.0
"""Seconds between two looks at the parent, where the system does not say that it has died."""


def leashed(command: Sequence[str], number: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return the command that becomes another, which gets a signal when this process dies."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(number)), *command]


def kept(command: Sequence[str]) -> list[str]:
    """Return the command that runs another in a process group, which is killed when this process dies.

    It must be started in a session of its own.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), "0", *command]


def tie(parent: int, number: int) -> None:
    """Ask the system for a signal when the parent dies; exits where it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            sys.exit(1)


def become(parent: int, number: int, command: list[str]) -> None:
    """Tie this process to its parent and turn it into `command`; exits with 1 and says why if that cannot be run."""
    tie(parent, number)
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming a program that the caller chose is its job
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error}")


def stay(parent: int, command: list[str]) -> int:
    """Run `command`, and kill all of its group once the parent has died; returns its exit code."""
    signal.signal(signal.SIGUSR2, lambda *_: os.killpg(0, signal.SIGKILL))
    tie(parent, signal.SIGUSR2)
    try:
        child = subprocess.Popen(command)  # noqa: S603 - the caller's own command
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error}")
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # what the parent reads ends when the program does
        os.dup2(nothing, stream)
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = child.wait(None if sys.platform == "linux" else LOOK_EVERY)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)  # what the program has started and left behind
            return code if code >= 0 else 128 - code
        if os.getppid() != parent:
            os.killpg(0, signal.SIGKILL)
        time.sleep(0)


if __name__ == "__main__":
    parent_id, on_death, *program = sys.argv[1:]
    if int(on_death):
        become(int(parent_id), int(on_death), program)
    sys.exit(stay(int(parent_id), program))
