"""One stack for all tests of the command line that only need one: a stack costs seconds, whoever uses it."""

from collections.abc import Iterator

import pytest

from tests.stacks import Stack, whole_stack


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack of the group `starter`, whose tests run in one place; ids of runs differ between its files."""
    with whole_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The shared stack, its model as it was started."""
    with shared_stack.lent():
        yield shared_stack
