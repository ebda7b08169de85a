"""One real process of the local model for the whole folder, and the real SDK pointed at it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


class LocalModel:
    """A running `python -m local_model`, its output in a file."""

    def __init__(self, log: Path, *flags: str, **environment: str) -> None:
        self.log = log
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_MODEL", "ANTHROPIC"))}
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_model", "--port", "0", *flags],
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


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModel]:
    running = LocalModel(tmp_path_factory.mktemp("local_model") / "log")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="session")
def url(local_model: LocalModel) -> str:
    return local_model.wait_until_ready()


@pytest.fixture
def start_local_model(tmp_path: Path) -> Iterator[Callable[..., LocalModel]]:
    """Starts further processes, with flags and environment of their own; all are ended."""
    started: list[LocalModel] = []

    def start(*flags: str, **environment: str) -> LocalModel:
        started.append(LocalModel(tmp_path / f"log{len(started)}", *flags, **environment))
        return started[-1]

    yield start
    for running in started:
        running.end()


@pytest.fixture
async def client(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0, timeout=120) as sdk:
        yield sdk


@pytest.fixture
def documents() -> Callable[[str], list[dict[str, str]]]:
    def read(name: str) -> list[dict[str, str]]:
        found: list[dict[str, Any]] = json.loads((HERE / f"documents_{name}.json").read_text())
        return found

    return read
