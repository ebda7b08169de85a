"""The guide to chaos is true: its example and its command, as a reader has them, with few faults."""

import asyncio
import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides import commands, files, texts
from tests.real_process import PROJECT, clean_environment

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in files(texts()["resilience"]).items():
        (tmp_path / name).write_text(text)
    return tmp_path


async def test_the_example_of_the_guide_and_its_command_which_prints_its_seed_and_says_what_is_wrong_with_its_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at the same time, because a good part of each is the waiting for faults to end."""
    command = next(each for each in commands("resilience") if "outlast.testing.chaos" in each)
    words = [sys.executable, *shlex.split(command)[1:]]
    env = clean_environment(PYTHONPATH=str(PROJECT))

    def run(*more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*words, *more], cwd=folder, env=env, capture_output=True, text=True, timeout=150, check=False
        )

    typed = asyncio.create_task(asyncio.to_thread(run, "--count", "1", "--faults", "kill-both", "--seed", "7"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    # What a reader has installed; the workers are started in the reader's folder.
    monkeypatch.setattr("os.environ", clean_environment(PYTHONPATH=f"{folder}:{PROJECT}"))
    try:
        await importlib.import_module("test_chaos").test_triage_outlasts_what_strikes()
    finally:
        sys.modules.pop("test_chaos", None)
        done = await typed
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("seed 7: ")
    assert "| runs lost | 0 |" in done.stdout
    wrong = await asyncio.to_thread(run, "--faults", "flood")
    assert (wrong.returncode, "'flood' is not a valid Fault" in wrong.stderr) == (2, True), wrong.stderr
