"""Replay before deploy: `worker.py --replay` runs the histories of real runs through this code, and changes nothing anywhere.

A history that does not replay belongs to a run that would stand still under this code. Queries are answered by replay, so
histories of runs that have ended matter as much as those of open runs.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence, Set
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, WorkflowRunner

from outlast.client import Settings, SettingsError, connect, data_converter

OPEN = "open"
"""Stands for all open runs of the namespace."""
SHOWN = 1000


async def check(settings: Settings, wanted: Sequence[str], workflows: Sequence[type], runner: WorkflowRunner) -> bool:
    """Replay histories with this code and report on each of them; True if all of them replay."""
    tried, failed, left_out = 0, 0, Counter[str]()
    async for name, failure in replay(settings, wanted, workflows, runner, left_out):
        print(f"{name}: {failure or 'replays'}", flush=True)  # noqa: T201
        tried, failed = tried + 1, failed + bool(failure)
    others = ", ".join(f"{name} ({count})" for name, count in sorted(left_out.items()))
    rest = f"; {left_out.total()} left out, because this worker does not serve them: {others}" if others else ""
    print(f"tried {tried}, {tried - failed} of them replay{rest}", flush=True)  # noqa: T201
    return not failed


async def replay(
    settings: Settings, wanted: Sequence[str], workflows: Sequence[type], runner: WorkflowRunner, left_out: Counter[str]
) -> AsyncIterator[tuple[str, str]]:
    """Replay histories one after the other: files of `temporal workflow show -o json`, ids of runs, or `open` for all open runs.

    Yields the name of each with what keeps it from replaying, "" for nothing. Open runs of workflows that are not among these are
    counted in `left_out`, by their type. Raises SettingsError for a name that is neither a file nor a run, and for a file that
    holds no history.
    """
    replayer = Replayer(
        workflows=workflows,
        data_converter=data_converter(settings.payload_limit_bytes, settings.payload_keys),
        workflow_runner=runner,
    )
    types = frozenset(workflow._Definition.must_from_class(each).name or "" for each in workflows)
    async for name, history in _histories(settings, wanted, types, left_out):
        yield name, await replay_failure(replayer, history)


async def replay_failure(replayer: Replayer, history: WorkflowHistory) -> str:
    """Replay one history; returns what keeps it from replaying, on one line, or ""."""
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = str(result.replay_failure or "")
    # The SDK's core wraps its message in a dump of its own structures.
    found = re.search(r'message: "(.*?)", source: ', failure, re.DOTALL)
    return " ".join((found[1] if found else failure).split())[:SHOWN]


def read_history(path: Path) -> WorkflowHistory:
    """Read the history in a file of `temporal workflow show -o json`; raises ValueError for a file that holds none."""
    try:
        return WorkflowHistory.from_json(path.stem, path.read_text())
    except Exception as error:  # the parser of protobuf's JSON raises whatever it meets
        raise ValueError(
            f"{path}: is not an event history ({str(error)[:200]}); write one with 'temporal workflow show -w ID -o json'"
        ) from error


async def _histories(
    settings: Settings, wanted: Sequence[str], types: Set[str], left_out: Counter[str]
) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    client: Client | None = None
    for name in wanted:
        if await asyncio.to_thread(Path(name).is_file):
            try:
                yield name, await asyncio.to_thread(read_history, Path(name))
            except ValueError as error:
                raise SettingsError(f"--replay {error}") from error
            continue
        client = client or await connect(settings)
        if name == OPEN:
            async for run in client.list_workflows("ExecutionStatus = 'Running'"):
                if run.workflow_type not in types:
                    left_out[run.workflow_type] += 1
                    continue
                handle = client.get_workflow_handle(run.id, run_id=run.run_id)
                yield run.id, await handle.fetch_history()
            continue
        try:
            yield name, await client.get_workflow_handle(name).fetch_history()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise SettingsError(f"--replay {name}: there is neither such a file nor such a run") from error
