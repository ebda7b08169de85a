"""Replay before deploy: histories of real runs go through the code of today, and nothing changes anywhere.

A history that does not replay belongs to a run that would stand still under this code. Queries are answered by replay, so
histories of runs that have ended matter as much as those of open runs.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.common import SearchAttributeKey
from temporalio.converter import PayloadCodec
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, WorkflowRunner

from outlast.client import Settings, SettingsError, connect, data_converter
from outlast.storage.garbage.references import payloads_in
from outlast.storage.payload_codec import ENCODING, KEY_NAME
from outlast.storage.sealing import KeyMissingError
from outlast.worker.sandbox import TolerantReplayer

OPEN = "open"
"""Stands for all open runs of the namespace."""
SHOWN = 1000
ALL_REPLAY, SOME_DO_NOT, NOT_TRIED = 0, 1, 2
"""Exit codes: a history that was asked for by name and not tried must not pass for one that replays."""

WAYS_OUT = """What to do for runs like these:
  - keep what they recorded where temporalio.workflow.patched("…") is false, and do the new where it is true (read in __init__);
  - or deploy the change as a build of its own: runs pinned to the old one stay with it (docs/deploy.md, "Builds side by side");
  - never record the history of a released path anew: runs of that release may still be under way. Only one that no release wrote
    may be recorded anew."""

_BEHAVIOR = SearchAttributeKey.for_keyword("TemporalWorkflowVersioningBehavior")


@dataclass
class Tally:
    """What became of the histories that were asked for."""

    tried: int = 0
    failed: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    """Runs of workflows that are none of ours, by their type."""
    pinned: int = 0
    """Open runs that stay with the build that began them, so that this code never gets them."""
    sealed: int = 0
    """Runs that are encrypted with a key that is not there."""
    missed: int = 0
    """Of those that were asked for by name, how many were not tried."""

    def __str__(self) -> str:
        text = f"tried {self.tried}: {self.tried - self.failed} replay"
        if self.failed:
            text += f", {self.failed} {'does' if self.failed == 1 else 'do'} not"
        skipped = []
        if self.unknown:
            types = ", ".join(f"{name} ({count})" for name, count in sorted(self.unknown.items()))
            skipped.append(f"{self.unknown.total()} of workflows that this code does not have: {types}")
        if self.pinned:
            skipped.append(f"{self.pinned} pinned to the build that began them")
        if self.sealed:
            skipped.append(f"{self.sealed} without a key for them")
        return "; ".join([text, *(f"skipped {each}" for each in skipped)])

    @property
    def code(self) -> int:
        """The exit code."""
        return SOME_DO_NOT if self.failed else NOT_TRIED if self.missed else ALL_REPLAY


async def check(
    settings: Settings,
    wanted: Sequence[str],
    workflows: Sequence[type],
    runner: WorkflowRunner,
    *,
    pinned: bool = False,
) -> int:
    """Replay histories with this code one after the other, and report on each; returns the exit code.

    Args:
        settings: The server, where one is needed, and the keys of encrypted histories.
        wanted: Files of `temporal workflow show -o json`, folders of them, ids of runs, or `open` for all open runs.
        workflows: The workflow classes whose runs are tried.
        runner: Where their code runs.
        pinned: Whether open runs that stay with another build are tried too.

    Raises:
        SettingsError: There is neither such a file nor such a run, or a file holds no history.
    """
    # The SDK's core dumps each failure on stderr; what matters of it is reported here.
    quiet = TelemetryConfig(logging=LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR")))
    Runtime.set_default(Runtime(telemetry=quiet), error_if_already_set=False)
    converter = data_converter(settings.payload_limit_bytes, settings.payload_keys)
    replayer = TolerantReplayer(
        workflows=workflows,
        data_converter=converter,
        workflow_runner=runner,
    )
    types = {workflow._Definition.must_from_class(each).name or "" for each in workflows}
    tally = Tally()
    async for name, history in _histories(settings, wanted, types, tally, pinned=pinned):
        if sealed := await _sealed(converter.payload_codec, history):
            tally.sealed, tally.missed = tally.sealed + 1, tally.missed + 1
            print(f"{name}: not tried, {sealed}", flush=True)  # noqa: T201
            continue
        failure = await replay_failure(replayer, history)
        tally.tried, tally.failed = tally.tried + 1, tally.failed + bool(failure)
        print(f"{name}: {failure or 'replays'}", flush=True)  # noqa: T201
    if tally.failed:
        print(WAYS_OUT, flush=True)  # noqa: T201
    print(tally, flush=True)  # noqa: T201
    return tally.code


async def _sealed(codec: PayloadCodec | None, history: WorkflowHistory) -> str:
    """Say which key a history lacks, or nothing; to the SDK it would be one that does not replay."""
    tried: set[bytes] = set()
    for payload in (each for event in history.events for each in payloads_in(event)):
        name = payload.metadata.get(KEY_NAME, b"")
        if payload.metadata.get("encoding") != ENCODING or name in tried:
            continue
        tried.add(name)
        try:
            if codec is None:
                raise KeyMissingError(f"PAYLOAD_KEYS is not set, and it is encrypted with the key {name.decode()!r}")
            await codec.decode([payload])
        except ValueError as error:
            return str(error)
    return ""


async def replay_failure(replayer: Replayer, history: WorkflowHistory) -> str:
    """Replay one history; returns the workflow, the event and the reason where it does not replay, on one line, or ""."""
    if all(event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in history.events):
        return ""  # a run that has not begun, such as one with a delay, has decided nothing; the SDK would wait for it for ever
    failure = await _failure(replayer, history)
    if not failure:
        return ""
    event = await _first_misfit(replayer, history, failure)
    kind = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").lower()
    named = " ".join(filter(None, (kind, _name_of(event))))
    return f"{_type_of(history)} does not replay from event {event.event_id} on ({named}): {failure}"


async def _failure(replayer: Replayer, history: WorkflowHistory) -> str:
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = str(result.replay_failure or "")
    # The SDK's core wraps its message in a dump of its own structures.
    found = re.search(r'message: "(.*?)", source: ', failure, re.DOTALL)
    return " ".join((found[1] if found else failure).split())[:SHOWN]


async def _first_misfit(replayer: Replayer, history: WorkflowHistory, failure: str) -> HistoryEvent:
    """Find the event that the code does not make any more: the failure names it, or the first workflow task does that fails."""
    if named := re.search(r"HistoryEvent\(id: (\d+)", failure):
        return history.events[int(named[1]) - 1]
    started = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
    ends = [number for number, event in enumerate(history.events, 1) if event.event_type == started][1:]
    low, high = 0, len(ends)  # the history up to each of these ends is one of a run that goes on
    while low < high:
        middle = (low + high) // 2
        cut = WorkflowHistory(history.workflow_id, history.events[: ends[middle]])
        low, high = (low, middle) if await _failure(replayer, cut) else (middle + 1, high)
    before = ends[low - 1] if low else 1
    made = history.events[before : ends[low] if low < len(ends) else len(history.events)]
    commands = [event for event in made if _of(event, "workflow_task_completed_event_id")]
    names = [event for event in commands if f"'{_name_of(event)}'" in failure]
    return next(iter([*names, *commands]), history.events[before - 1])


def _of(event: HistoryEvent, name: str) -> Any:
    return getattr(getattr(event, event.WhichOneof("attributes") or "", None), name, None)


def _name_of(event: HistoryEvent) -> str:
    """Return what a command is about: the type of an activity or a child, the id of a timer; "" for others."""
    kind = _of(event, "activity_type") or _of(event, "workflow_type")
    return kind.name if kind else _of(event, "timer_id") or ""


def _type_of(history: WorkflowHistory) -> str:
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name


def read_history(path: Path) -> WorkflowHistory:
    """Read the history in a file of `temporal workflow show -o json`; raises ValueError for a file that holds none."""
    try:
        history = WorkflowHistory.from_json(path.stem, path.read_text())
    except Exception as error:  # the parser of protobuf's JSON raises whatever it meets
        raise ValueError(
            f"{path}: is not an event history ({str(error)[:200]}); write one with 'temporal workflow show -w ID -o json'"
        ) from error
    if not history.events:
        raise ValueError(
            f"{path}: is not an event history (it has no events); write one with 'temporal workflow show -w ID -o json'"
        )
    return history


async def _histories(
    settings: Settings, wanted: Sequence[str], types: set[str], tally: Tally, *, pinned: bool
) -> AsyncIterator[tuple[str, WorkflowHistory]]:
    client: Client | None = None
    for name in wanted:
        if files := await asyncio.to_thread(_files, name):
            found = [(str(each), await asyncio.to_thread(_read, each)) for each in files]
        else:
            client = client or await connect(settings)
            if name == OPEN:
                async for run in client.list_workflows("ExecutionStatus = 'Running'"):
                    if _is_tried(run, types, tally, pinned=pinned):
                        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
                        yield run.id, await handle.fetch_history()
                continue
            found = [(name, await _fetched(client, name))]
        for each, history in found:
            if (type_ := _type_of(history)) in types:
                yield each, history
                continue
            tally.unknown[type_] += 1
            tally.missed += 1
            print(f"{each}: skipped, it is a {type_}, which is not among the workflows here")  # noqa: T201


def _is_tried(run: WorkflowExecution, types: set[str], tally: Tally, *, pinned: bool) -> bool:
    if run.workflow_type not in types:
        tally.unknown[run.workflow_type] += 1
        return False
    if not pinned and run.typed_search_attributes.get(_BEHAVIOR) == "Pinned":
        tally.pinned += 1
        return False
    return True


def _files(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        if found := sorted(path.glob("*.json")):
            return found
        raise SettingsError(f"{name}: the folder holds no history (*.json)")
    return [path] if path.is_file() else []


def _read(path: Path) -> WorkflowHistory:
    try:
        return read_history(path)
    except ValueError as error:
        raise SettingsError(str(error)) from error


async def _fetched(client: Client, name: str) -> WorkflowHistory:
    try:
        return await client.get_workflow_handle(name).fetch_history()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise SettingsError(f"{name}: there is neither such a file nor such a run") from error
