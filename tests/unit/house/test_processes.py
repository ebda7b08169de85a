"""Several worker processes are counted and their metrics merged; each gives large blocks of memory back."""

import argparse
import os
import platform
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from outlast.worker.processes import how_many, merged, program

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
    for wrong in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(wrong))):
            how_many(wrong)


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
