"""A desk at Slack for the tests of clicks and dialogs."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.doubles.slack import Slack, slack_double
from tests.workflow.conftest import Runner
from tests.workflow.telling.clicking import Desk, desk_of


@pytest.fixture
def slack() -> Iterator[Slack]:
    with slack_double() as double:
        yield double


@pytest.fixture
async def desk(real_runner: Runner, slack: Slack) -> AsyncIterator[Desk]:
    async with desk_of(real_runner, slack) as made:
        yield made
