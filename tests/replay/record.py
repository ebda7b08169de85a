"""Records one history per path on a real server: `python -m tests.replay.record [NAME …]`."""

import asyncio
import re
import sys
import tempfile
from pathlib import Path as FilePath

from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from outlast.client import Settings, data_converter
from outlast.contracts import RunStatus
from outlast.storage.activities import ContentStore
from tests.conftest import binary
from tests.replay.path import Path
from tests.replay.paths import PATHS
from tests.workflow.conftest import Runner

TRIES, PATIENCE = 4, 60.0
HISTORIES = FilePath(__file__).with_name("histories")


async def record(name: str, path: Path, directory: FilePath) -> None:
    """Run one path and write its history."""
    base_url = None if path.local else "http://unused.invalid"
    settings = Settings(
        state_dir=directory, heartbeat_timeout=10, shutdown_grace=1, anthropic_base_url=base_url, _env_file=None
    )
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary("temporal-test-server"),
        data_converter=data_converter(settings.payload_limit_bytes),
    )
    async with environment:
        runner = Runner(environment, settings, ContentStore.open(settings.store_url))
        async with path.worker(runner) as llm:
            # A replay goes by this id, of which the ids of child workflows are made.
            handle = await environment.client.start_workflow(
                path.workflow, await path.request(runner), id=name, task_queue=settings.task_queue
            )
            if path.cancel:
                while not llm.calls:  # noqa: ASYNC110 - the model double has no event to wait for
                    await asyncio.sleep(0.05)
                await handle.cancel()
            if path.answers:
                while not (await handle.query("status", result_type=RunStatus)).questions:  # noqa: ASYNC110 - nor has a query
                    await asyncio.sleep(0.05)
                for answer in path.answers:
                    await handle.signal("answer", answer)
            if path.people is not None:
                await path.people(handle)
            for name_of_signal, decision in path.decisions:
                while not (await handle.query("status", result_type=RunStatus)).gates:  # noqa: ASYNC110 - nor has a query
                    await asyncio.sleep(0.05)
                await handle.signal(name_of_signal, decision)
            try:
                await handle.result()
            except WorkflowFailureError as failure:
                print(f"{name}: ends with {failure.cause}")  # noqa: T201
            history = (await handle.fetch_history()).to_json()
    # Who recorded it, and where, says nothing about the path.
    anonymous = re.sub(r'"identity":\s*"[^"]*"', '"identity": "recorder"', history)
    placeless = re.sub(r'"stackTrace":\s*"(?:[^"\\]|\\.)*"', '"stackTrace": ""', anonymous)
    (HISTORIES / f"{name}.json").write_text(placeless + "\n")


async def main(names: list[str]) -> None:
    """Record the named paths, or all."""
    HISTORIES.mkdir(exist_ok=True)
    for name in names or PATHS:
        await _retried(name)


async def _retried(name: str) -> None:
    """Record a path; the time-skipping server can hang where a call ends while it is being cancelled, so it is tried again."""
    for _ in range(TRIES):
        try:
            with tempfile.TemporaryDirectory() as directory:
                async with asyncio.timeout(PATIENCE):
                    await record(name, PATHS[name], FilePath(directory))
        except TimeoutError:
            print(f"{name}: not recorded within {PATIENCE} s, tried again")  # noqa: T201
        else:
            return
    raise TimeoutError(f"{name}: not recorded in {TRIES} tries")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
