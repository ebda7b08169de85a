"""Tests that share processes run in one place; where the runner forgets their groups, each stack is started up to three times.

Nothing fails then, everything only takes longer. pytest 9.2 with pytest-xdist 3.8 was such a pair.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.real_process import clean_environment

GROUPED = """
import pytest

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(6))
def test_it(number):
    pass
"""


def test_tests_of_one_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", str(tmp_path)]

    ran = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    places = re.findall(r"^\[(gw\d)\].*PASSED", ran.stdout, re.MULTILINE)
    assert len(places) == 6, ran.stdout
    assert len(set(places)) == 1, ran.stdout
