"""One stack and one server for all tests of the HTTP API and of chats that only need one."""

from collections.abc import Iterator

import pytest

from tests.processes import EVERY_WORKER
from tests.resilience.server.serving import Served, served_by, with_mailer
from tests.stacks import whole_stack


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server of the group `server`; ids of runs differ between its tests."""
    directory = tmp_path_factory.mktemp("server")
    with (
        whole_stack(directory, program=EVERY_WORKER, **with_mailer(directory)) as stack,
        served_by(stack, directory) as served,
    ):
        yield served


@pytest.fixture
def served(shared_server: Served) -> Iterator[Served]:
    """The shared server, its model as it was started."""
    with shared_server.stack.lent():
        yield shared_server
