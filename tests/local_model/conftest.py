"""One real process of the local model for the whole folder, and the real SDK pointed at it."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.local_model.local_model_process import LocalModel

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def weights_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all processes of this run keep the fast copy of the weights."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory, weights_cache: Path) -> Iterator[LocalModel]:
    running = LocalModel(tmp_path_factory.mktemp("local_model") / "log", weights_cache)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.end()


@pytest.fixture(scope="session")
def url(local_model: LocalModel) -> str:
    return local_model.wait_until_ready()


@pytest.fixture
def start_local_model(tmp_path: Path, weights_cache: Path) -> Iterator[Callable[..., LocalModel]]:
    """Starts further processes, with flags and environment of their own; all are ended."""
    started: list[LocalModel] = []

    def start(*flags: str, **environment: str) -> LocalModel:
        started.append(LocalModel(tmp_path / f"log{len(started)}", weights_cache, *flags, **environment))
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
