"""One stack and one server for all tests of the HTTP API and of chats that only need one."""

import shutil
from collections.abc import Iterator

import pytest

from tests.processes import EVERY_WORKER, PROJECT
from tests.resilience.server.serving import Served, served_by
from tests.stacks import whole_stack

MAILER = """---
name: mailer
description: Looks at files, and sends mail.
model: sonnet
tools: Glob, send_mail
---
You send mail."""


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server of the group `server`; ids of runs differ between its tests."""
    directory = tmp_path_factory.mktemp("server")
    shutil.copytree(PROJECT / "agents", directory / "agents")
    (directory / "agents" / "mailer.md").write_text(MAILER)
    settings = {
        "AGENTS_DIR": str(directory / "agents"),
        "SMTP_URL": "smtp://127.0.0.1:9",
        "MAIL_FROM": "us@example.org",
    }
    with whole_stack(directory, program=EVERY_WORKER, **settings) as stack, served_by(stack, directory) as served:
        yield served


@pytest.fixture
def served(shared_server: Served) -> Iterator[Served]:
    """The shared server, its model as it was started."""
    shared_server.stack.api.reset()
    yield shared_server
    shared_server.stack.api.reset()
