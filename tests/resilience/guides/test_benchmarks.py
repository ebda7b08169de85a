"""The benchmarks run and count right; how long anything took is none of this test's business."""

import json
import os
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.plan import FIGURES
from benchmarks.report.page import page
from benchmarks.report.plots import plots
from benchmarks.targets import TARGETS, judge
from tests.guides import commands
from tests.real_process import PROJECT, clean_environment

STEPS = 20
SIDES = {"product", "bare", "product_http"}
INTERPRETER = ".venv/bin/python"
LATEST = PROJECT / "benchmarks" / "results" / "latest.json"


EVERYTHING, ONLY, QUICK = commands("performance")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench")
    assert QUICK.startswith(INTERPRETER)
    ran = subprocess.run(
        [sys.executable, *QUICK.split()[1:], "--only", "chain20", "--out", str(out)],
        cwd=PROJECT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (out / "performance.md").read_text().startswith("# Performance")
    found: dict[str, Any] = json.loads((out / "latest.json").read_text())
    return found


def test_a_quick_run_writes_what_it_measured(result: dict[str, Any]) -> None:
    (row,) = result["figures"]["chain20"]
    assert set(row["sides"]) == SIDES
    assert result["quick"]
    assert result["machine"]["cores"] == os.cpu_count()
    # A run cannot be faster than its model calls, whatever the machine.
    assert all(side["ratio"]["min"] > 1 for side in row["sides"].values())


@pytest.mark.parametrize("side", sorted(SIDES))
def test_every_step_is_one_model_call(result: dict[str, Any], side: str) -> None:
    assert result["figures"]["chain20"][0]["sides"][side]["calls"] == [STEPS]


def test_history_stays_small_where_bare_temporal_grows_with_its_texts(result: dict[str, Any]) -> None:
    sides = result["figures"]["chain20"][0]["sides"]
    for name in ("product", "product_http"):
        # Three events for each activity and three for the workflow task that follows; a few more for the run itself.
        assert sides[name]["events_per_step"]["max"] <= 6.6
        assert sides[name]["bytes_per_step"]["max"] <= 1750
    assert sides["bare"]["bytes_per_step"]["min"] > 4000


def test_the_committed_page_is_made_from_the_committed_result() -> None:
    latest = json.loads(LATEST.read_text())
    assert LATEST.stat().st_size < 80_000
    assert (PROJECT / "docs" / "performance.md").read_text() == page(latest)
    pictures = plots(latest["figures"])
    assert len(pictures) >= 2
    for name, picture in pictures.items():
        assert (PROJECT / "docs" / "images" / name).read_text() == picture
        assert len(picture) < 200_000
        ElementTree.fromstring(picture)
    assert latest["targets"] == judge(latest["figures"])
    assert [verdict["name"] for verdict in latest["targets"]] == [target.name for target in TARGETS]


def test_the_commands_that_take_long_are_there() -> None:
    made = subprocess.run(
        ["make", "-n", *EVERYTHING.split()[1:]], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert f"{INTERPRETER} -m benchmarks\n" in made.stdout
    program, _, names = ONLY.rpartition(" ")
    assert program == f"{INTERPRETER} -m benchmarks --only"
    assert set(names.split(",")) < set(FIGURES)


def test_unknown_figures_are_refused() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", "chain21"],
        cwd=PROJECT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 2
    assert "there are chain20, fan50" in asked.stderr
