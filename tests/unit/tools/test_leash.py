"""What a process starts ends with it, however it ends: also a program that does not look at its input, and what it started."""

import os
import signal
import subprocess
import sys

import pytest

from tests.real_process import alive, wait_for

STARTS = """
import subprocess, sys
from outlast.processes.leash import kept, leashed
program = ["sh", "-c", "sleep 1000 & echo $! $$; wait"]
command = {command}
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
print(child.pid, child.stdout.readline().decode(), flush=True)
sys.stdin.read()
"""


def started(command: str) -> tuple["subprocess.Popen[str]", list[int]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS.format(command=command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, [int(pid) for pid in parent.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_that_is_stayed_with_ends_with_its_parent_and_with_all_that_it_started(
    number: signal.Signals,
) -> None:
    parent, pids = started("kept(program)")
    assert len(pids) == 3
    assert all(map(alive, pids))
    parent.send_signal(number)
    parent.communicate()
    wait_for(lambda: not any(map(alive, pids)), "all of them have ended")


def test_a_program_that_is_leashed_gets_the_signal() -> None:
    parent, (program, helper, _) = started("leashed(program, __import__('signal').SIGTERM)")
    parent.kill()
    parent.communicate()
    wait_for(lambda: not alive(program), "it has ended")
    os.kill(helper, signal.SIGKILL)


def test_a_program_that_ends_leaves_nothing_and_tells_its_exit_code() -> None:
    code = "from outlast.processes.leash import kept; print(*kept(['sh', '-c', 'sleep 1000 & echo $!; exit 7']), sep='\\n')"
    command = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    command[4] = str(os.getpid())
    ended = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True, timeout=20)
    assert ended.returncode == 7
    wait_for(lambda: not alive(int(ended.stdout)), "its helper has ended")


def test_a_program_that_is_not_there_is_named() -> None:
    from outlast.processes.leash import kept

    ended = subprocess.run(
        kept(["no-such-program"]), capture_output=True, text=True, check=False, start_new_session=True, timeout=20
    )
    assert (ended.returncode, "no-such-program cannot be run" in ended.stderr) == (1, True)
