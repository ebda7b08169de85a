"""Where a reader works: a folder elsewhere that sees nothing of ours but the library, with its command on PATH."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import binary
from tests.real_process import PROJECT, RealProcess

OUTLAST = f'#!/bin/sh\nexec {sys.executable} {PROJECT / "tests" / "doubles" / "outlast_command.py"} "$@"\n'
"""The console script that `pip install` makes of the entry point."""


@dataclass(frozen=True)
class Elsewhere:
    """The folder, and the environment of the reader's shell."""

    folder: Path
    env: dict[str, str]

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by their paths within the folder."""
        for name, text in files.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def type(self, command: str) -> str:
        """Run a command that must leave with 0; returns stdout."""
        done = subprocess.run(
            ["bash", "-e", "-c", command], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=90,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self, command: str, ready: str = "worker ready") -> Iterator[RealProcess]:
        """Run a command that serves, from when it is ready to the end of the block."""
        log = self.folder.parent / f"{len(list(self.folder.parent.iterdir()))}.log"
        process = RealProcess(["bash", "-c", f"exec env {command}"], log, self.env, self.folder)
        process.start()
        try:
            process.wait_until(lambda: ready in process.output, f"{command} is ready")
            yield process
        finally:
            process.stop()


def elsewhere(directory: Path, env: Mapping[str, str]) -> Elsewhere:
    """Make the folder in a directory of its own; `env` names the server and the model."""
    for name in ("site", "bin", "folder"):
        (directory / name).mkdir(parents=True)
    (directory / "site" / "outlast").symlink_to(PROJECT / "outlast")
    command = directory / "bin" / "outlast"
    command.write_text(OUTLAST)
    command.chmod(0o755)
    paths = (directory / "bin", Path(sys.executable).parent, Path(binary("temporal")).parent, env["PATH"])
    own = {"PATH": os.pathsep.join(map(str, paths)), "PYTHONPATH": str(directory / "site")}
    return Elsewhere(directory / "folder", {**env, **own})
