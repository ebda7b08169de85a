"""Several worker processes are counted and their metrics merged; each gives large blocks of memory back."""

import argparse
import os
import platform
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from outlast.processes.ports import PortError, free_address, listen
from outlast.worker.processes import Pool, how_many, merged, program
from outlast.worker.running import run_worker
from tests.real_process import PROJECT, clean_environment

MAPPED = """
import ctypes
from outlast.processes import memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd rest1 rest2 rest3 rest4 rest5".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype, libc.free.argtypes = Info, ctypes.c_void_p, [ctypes.c_void_p]
memory.prepare()
libc.free(libc.malloc(16 << 20))
before = libc.mallinfo2().hblkhd
libc.malloc(4 << 20)
print(libc.mallinfo2().hblkhd - before >= 4 << 20)
"""
"""Whether a block of 4 MB is the kernel's own after one of 16 MB was freed."""
ONE = """# HELP agent_calls Calls
# TYPE agent_calls counter
agent_calls{agent="a b",model="m"} 2
# TYPE wait_seconds histogram
wait_seconds_bucket{le="+Inf"} 3
wait_seconds_sum 1.5
wait_seconds_count 3
"""
TWO = """# HELP agent_calls Calls
# TYPE agent_calls counter
agent_calls{agent="x"} 5
only_here 1
"""


def test_every_series_names_its_process_and_every_family_has_one_header() -> None:
    text = merged({"0": ONE, "1": TWO})
    assert text.splitlines() == [
        "# HELP agent_calls Calls",
        "# TYPE agent_calls counter",
        'agent_calls{agent="a b",model="m",process="0"} 2',
        'agent_calls{agent="x",process="1"} 5',
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{le="+Inf",process="0"} 3',
        'wait_seconds_sum{process="0"} 1.5',
        'wait_seconds_count{process="0"} 3',
        'only_here{process="1"} 1',
    ]
    assert merged({}) == ""


def test_a_number_or_auto_says_how_many() -> None:
    assert how_many("3") == 3
    assert how_many("auto") >= 1
    for wrong in ("0", "-1", "two", "1.5", "", "99999999", "9" * 5000):
        with pytest.raises(
            argparse.ArgumentTypeError, match=re.escape(repr(wrong)) + r": give a number from 1 to \d+, or auto"
        ):
            how_many(wrong)


@pytest.mark.parametrize(
    ("option", "value", "bounds"),
    [
        ("--health-port", "99999999", "0 to 65535"),
        ("--metrics-port", "-5", "0 to 65535"),
        ("--max-cached-workflows", "-1", "0 to 100000"),
        ("--max-activities", "0", "1 to 100000"),
        ("--max-activities", "999999999999999999999", "1 to 100000"),
    ],
)
def test_a_number_out_of_bounds_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str, bounds: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["worker.py", option, value])
    with pytest.raises(SystemExit) as left:
        run_worker(workflows=[])
    assert left.value.code == 2
    assert capsys.readouterr().err == f"worker: {option}: {value!r}: give a number from {bounds}\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--health-port"], "--health-port"), (["--processes", "2", "--metrics-port"], "--metrics-port")],
)
def test_a_port_that_is_taken_is_named(options: list[str], named: str) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        worker = [sys.executable, "worker.py", *options, port]
        ended = subprocess.run(
            worker, cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr == (
        f"worker: --host 127.0.0.1 {named} {port}: Address already in use; choose another port, or end what listens there\n"
    )


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PortError, match=r"--host 192\.0\.2\.1 --metrics-port 0: .*; give an address of this machine"):
        free_address("192.0.2.1", 0, "--metrics-port")


def test_a_process_that_lost_its_port_to_somebody_else_is_started_again() -> None:
    pool = Pool(1, ())
    with listen("127.0.0.1", 0) as taken:
        pool._ports[0] = (taken.getsockname()[1], 0)
        assert pool._lost_a_port(0)
    assert not pool._lost_a_port(0)


@pytest.mark.parametrize(
    ("spec", "expected"), [(None, ["worker.py"]), (SimpleNamespace(name="mine.worker"), ["-m", "mine.worker"])]
)
def test_each_process_is_started_as_the_first_one_was(
    monkeypatch: pytest.MonkeyPatch, spec: object, expected: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["worker.py", "--processes", "2"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    assert program() == expected


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries need no such setting")
@pytest.mark.parametrize(
    ("own", "expected"), [({}, "True"), ({"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=33554432"}, "False")]
)
def test_a_large_block_goes_back_to_the_kernel_unless_the_environment_says_otherwise(
    own: dict[str, str], expected: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MAPPED], env=os.environ | own, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == expected
