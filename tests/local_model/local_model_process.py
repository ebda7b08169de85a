"""The process under test."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


class LocalModel:
    """A running `python -m outlast.devstack.local_model`, its output in a file."""

    def __init__(self, log: Path, cache: Path, *flags: str, **environment: str) -> None:
        self.log = log
        environment = {"LOCAL_MODEL_CACHE": str(cache)} | environment
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_MODEL", "ANTHROPIC"))}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "outlast.devstack.local_model", "--port", "0", *flags],
                cwd=PROJECT,
                env=kept | environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until_ready(self, seconds: float = 60) -> str:
        """Return its address once the ready line is there."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(r"ready on (http://[\d.]+:\d+)", self.output)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)
        return found.group(1)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
