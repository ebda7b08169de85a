"""Becomes another program that dies with its parent: `python -I -S leash.py PARENT_PID PROGRAM ARGUMENT…`.

It exists because the alternative, a `preexec_fn`, runs Python between fork and exec in a process with threads, which can
hang. Linux sends the signal when the parent's *thread* ends, so only the main thread may start parts. Elsewhere
the program just runs, and the next `up` ends what was left.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent and turn it into `command`; exits with 1 and says why if that cannot be run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It died before the leash was on.
            sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606 - becoming a program that the supervisor chose is its job
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
