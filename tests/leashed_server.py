"""A time-skipping server on a leash: a test that hangs on it fails, and the tests after it run.

Such a server can hang for good, for one where a call ends while the task that cancels it is under way. The test's own
time-out is no way out then: what ends the worker waits for the same server. A dead server is: every call to it fails.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings, data_converter

NAME = "temporal-test-server"


@asynccontextmanager
async def time_skipping(settings: Settings, binary: str, patience: float) -> AsyncIterator[WorkflowEnvironment]:
    """Run a server of one's own and kill it after `patience` seconds, if it still runs by then."""
    before = servers()
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary, data_converter=data_converter(settings.payload_limit_bytes)
    )
    (server,) = servers() - before
    leash = threading.Timer(patience, server.kill)
    leash.daemon = True
    leash.start()
    try:
        async with environment:
            yield environment
    finally:
        leash.cancel()


def servers() -> set[psutil.Process]:
    """The servers that this process runs now."""
    return {child for child in psutil.Process().children() if child.name().startswith(NAME[:15])}
