"""Replay before deploy: `worker.py --replay` runs the histories of real runs through this code, and changes nothing anywhere.

A history that does not replay belongs to a run that would stand still under this code. The trap: a run that has ended replays no
less than one that goes on, because queries are answered by replay; so both are worth a look.
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
"""Stands for all runs of the namespace that go on."""
SHOWN = 1000


async def check(settings: Settings, wanted: Sequence[str], workflows: Sequence[type], runner: WorkflowRunner) -> bool:
    """Replay histories with this code and say of each whether it fits; True if all of them do."""
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
    """Replay histories one after the other: files of `temporal workflow show -o json`, ids of runs, or `open` for all that go on.

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
        result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        yield name, _told(str(result.replay_failure or ""))


def _told(failure: str) -> str:
    """Take what the core says out of the dump of a failure that it says it in."""
    found = re.search(r'message: "(.*?)", source: ', failure, re.DOTALL)
    return " ".join((found[1] if found else failure).split())[:SHOWN]


async def _histories(
    settings: Settings, wanted: Sequence[str], types: Set[str], left_out: Counter[str]
) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    client: Client | None = None
    for name in wanted:
        text = await asyncio.to_thread(_read, Path(name))
        if text is not None:
            yield name, _history(name, text)
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


def _read(path: Path) -> str | None:
    try:
        return path.read_text() if path.is_file() else None
    except (OSError, ValueError) as error:
        raise SettingsError(f"--replay {path}: cannot be read: {error}") from error


def _history(name: str, text: str) -> WorkflowHistory:
    try:
        return WorkflowHistory.from_json(Path(name).stem, text)
    except Exception as error:  # the parser of protobuf's JSON raises whatever it meets
        raise SettingsError(
            f"--replay {name}: is no event history ({str(error)[:200]}); write one with "
            "'temporal workflow show -w ID -o json'"
        ) from error
