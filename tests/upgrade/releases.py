"""The releases whose runs must finish on the code of today, each rebuilt from its commit: the wheel and the application."""

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real_process import PROJECT, RealProcess

BUILD = "import sys\nfrom setuptools import build_meta\nprint(build_meta.build_wheel(sys.argv[1]))"

COMMANDS = """
import json, os, sys, starter
codes = [starter.run(each) for each in json.loads(sys.argv[1])]
sys.stdout.flush()
os._exit(max(codes))
"""


HISTORIES = "tests/replay/histories"


@dataclass(frozen=True)
class Release:
    """A release by its commit: tags do not travel with every clone."""

    version: str
    commit: str


RELEASES = (Release("0.2.0", "f731b2ed0d8a99dfa438a433b138917fdc6f9cfc"),)
"""Every release there was; a new one gets its line on the day that it is made, and no line ever leaves."""


@dataclass(frozen=True)
class Installed:
    """A release, ready to run: the library as its wheel has it, and the application of the same commit."""

    site: Path
    application: Path

    def starter(self, commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> None:
        """Run commands of its own `starter.py`, in one process because each costs seconds of imports."""
        ended = subprocess.run(
            [sys.executable, "-c", COMMANDS, json.dumps(commands)],
            cwd=self.application,
            env=self._environment(env),
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def worker(self, log: Path, env: Mapping[str, str]) -> RealProcess:
        """Describe a process of its own `worker.py`."""
        return RealProcess([sys.executable, "worker.py"], log, self._environment(env), cwd=self.application)

    def _environment(self, env: Mapping[str, str]) -> dict[str, str]:
        return {**env, "PYTHONPATH": str(self.site)}


def changed_histories(release: Release) -> list[str]:
    """Name the recorded histories of a release that are not as it had them; raises AssertionError as `install` does."""
    compared = git(release, "diff", "--name-only", release.commit, "--", HISTORIES)
    had = set(git(release, "ls-tree", "--name-only", "-r", release.commit, HISTORIES).decode().split())
    return sorted(had.intersection(compared.decode().split()))


def git(release: Release, *command: str) -> bytes:
    """Ask git about a release; raises AssertionError that says what to fetch where this clone lacks its commit."""
    asked = subprocess.run(["git", *command], cwd=PROJECT, capture_output=True, check=False)
    assert asked.returncode == 0, (
        f"this clone lacks commit {release.commit} of release {release.version}, whose runs this test upgrades "
        f"({asked.stderr.decode().strip()}). Fetch it: git fetch origin {release.commit}, or the whole history of a shallow "
        "clone: git fetch --unshallow"
    )
    return asked.stdout


def install(release: Release, folder: Path) -> Installed:
    """Build the wheel of a release and unpack it, with the application beside it."""
    application, site = folder / "application", folder / "site"
    with tarfile.open(fileobj=io.BytesIO(git(release, "archive", release.commit))) as archive:
        archive.extractall(application, filter="data")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)], cwd=application, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(folder / built.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    (application / "outlast").rename(folder / "not-imported")  # what runs is what the wheel holds
    return Installed(site, application)
