"""One run, followed once for all that watch it: its events, how it stands, and what its models are writing.

Clients read at their own pace from one list, so a slow one costs nothing but its place in it. What has no id is kept as it is
now: a client that comes late or lags gets the newest, and never a queue of what is out of date.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError

from outlast.cli.decisions.listing import gates_of
from outlast.cli.leaving import LeavingError
from outlast.cli.printing import plain
from outlast.cli.reaching import PASSING, QUERY_DEADLINE, Reach, word
from outlast.cli.recorded.following import follow
from outlast.cli.recorded.reading import Decoding
from outlast.cli.recorded.status import recorded_status
from outlast.cli.watching.calls import Key
from outlast.cli.watching.pieces import Heartbeats, RunStream
from outlast.contracts import RunStatus, Streamed
from outlast.server.events.log import EventLog, Logged, described
from outlast.server.operations import HttpError

EVERY = 0.5
"""Seconds between two looks at a run."""
LINGERS = 30.0
"""Seconds that a run is followed after its last client has gone: most come back at once."""
MOST_FEEDS = 500
"""Runs that one server follows at once."""
LONGEST_LIVE = 200_000
"""Characters of one text that are kept while it is written."""

_log = logging.getLogger(__name__)


@dataclass
class Live:
    """A text that is being written: `start` is where the known part of it begins."""

    call: dict[str, Any]
    attempt: int = 1
    start: int = 0
    text: str = ""

    @property
    def end(self) -> int:
        """How many characters were written."""
        return self.start + len(self.text)

    def take(self, piece: Streamed) -> bool:
        """Take a piece; returns whether it told anything new."""
        if piece.attempt < self.attempt or not piece.text:
            return False
        if piece.attempt > self.attempt:
            self.attempt, self.start, self.text = piece.attempt, 0, ""
        if piece.start + len(piece.text) <= self.end:
            return False
        if piece.start > self.end:  # what lies between was never seen
            self.start, self.text = piece.start, ""
        self.text += piece.text[self.end - piece.start :]
        cut = max(0, len(self.text) - LONGEST_LIVE)
        self.start, self.text = self.start + cut, self.text[cut:]
        return True


@dataclass
class Feed:
    """What is known of one run, and whether anything more can come."""

    reach: Reach
    found: WorkflowExecutionDescription
    events: list[Logged] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    status: dict[str, Any] | None = None
    version: int = 0
    texts: dict[Key, Live] = field(default_factory=dict)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    broken: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._log = EventLog(self.reach, self.found.id)
        self._sources = (RunStream(self.reach), Heartbeats(Decoding(self.reach, self.found.id)))
        self._marks: object = None
        self._reached = False

    async def run(self) -> None:
        """Follow the run until it ends."""
        looking = asyncio.create_task(self._look())
        try:
            await self._follow()
        except Exception:
            self.broken = True
            _log.exception("the history of %s cannot be followed", self.found.id)
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            self.over = True
            self.caught_up.set()
            self._tell()

    async def _follow(self) -> None:
        first = self.found.raw_description.workflow_execution_info.first_run_id or self.found.run_id
        try:
            await self._follow_from(first)
        except RPCError:
            if self.events or first == self.found.run_id:
                raise
            await self._follow_from(self.found.run_id)  # the first parts have been deleted
        else:
            if not self._reached:  # it was reset: nothing in the history of the first part leads to the new one
                self._log = EventLog(self.reach, self.found.id)  # which counts its gates and its spend anew
                await self._follow_from(self.found.run_id)

    async def _follow_from(self, run_id: str) -> None:
        known = self.found.history_length
        async for heard in follow(self.reach, self.found.id, run_id):
            for event in await self._log.read(heard):
                self.places[event.id] = len(self.events)
                self.events.append(event)
            if heard.activity is not None and heard.activity.ended is not None:
                self.texts.pop((heard.run_id, heard.activity.id), None)
            self._reached = self._reached or heard.run_id == self.found.run_id
            if heard.run_id == self.found.run_id and heard.event.event_id >= known:
                self.caught_up.set()
            if self.caught_up.is_set() or len(self.events) % 100 == 0:
                self._tell()
        with suppress(RPCError, LeavingError, ValueError):
            await self._stand()

    async def _look(self) -> None:
        while True:
            with suppress(RPCError, LeavingError, ValueError):
                await self._stand()
            await asyncio.sleep(EVERY)

    async def _stand(self) -> None:
        """Take note of how the run stands now, and what its models are writing."""
        found = await self.reach.client.get_workflow_handle(self.found.id).describe(rpc_timeout=QUERY_DEADLINE)
        if found.raw_description.workflow_execution_info.first_run_id != (
            self.found.raw_description.workflow_execution_info.first_run_id
        ):
            return  # the id has been given to another run since
        await self._pieces(found)
        marks = (found.run_id, found.history_length, found.status)
        if marks != self._marks and (status := await self._asked(found)) is not None:
            self._marks = marks
            shown = {"status": word(found.status), **plain(status)}
            if shown != self.status:
                self.status, self.version = shown, self.version + 1
                self._tell()

    async def _asked(self, found: WorkflowExecutionDescription) -> RunStatus | None:
        """Ask the worker; where none answers, take what was known last, with the gates that the server knows of."""
        handle = self.reach.client.get_workflow_handle(found.id, run_id=found.run_id)
        try:
            if await self.reach.served(found):
                answered: RunStatus = await handle.query("status", result_type=RunStatus, rpc_timeout=QUERY_DEADLINE)
                return await self.reach.in_full(answered)
        except WorkflowQueryFailedError:
            return None  # not at this moment, or a workflow of others
        except RPCError as error:
            if error.status in PASSING and self.status is not None:
                return None
        if self.status is None or found.status is not WorkflowExecutionStatus.RUNNING:
            return (await recorded_status(self.reach, found, (await gates_of(found)).waiting))[0]
        return None

    async def _pieces(self, found: WorkflowExecutionDescription) -> None:
        at_work = {key: call for key, call in self._log.open.items() if call.is_model and key[0] == found.run_id}
        new = False
        for source in self._sources:
            for key, piece in await source.new(found, at_work):
                if key in self._log.open:
                    live = self.texts.setdefault(key, Live(described(key, at_work[key])))
                    new = live.take(piece) or new
        if new:
            self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Feeds:
    """The runs that are followed now."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._clients: dict[str, int] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def of(self, found: WorkflowExecutionDescription) -> AsyncIterator[Feed]:
        """Follow a run while the block runs; raises HttpError where too many are followed."""
        key = found.raw_description.workflow_execution_info.first_run_id or found.run_id
        there = self._feeds[key][0] if key in self._feeds else None
        if there is None or there.broken or (there.over and there.found.run_id != found.run_id):
            if len(self._feeds) >= MOST_FEEDS:
                raise HttpError(503, f"{MOST_FEEDS} runs are followed already; try again later", {"Retry-After": "30"})
            feed = Feed(self._reach, found)
            self._feeds[key] = feed, asyncio.create_task(feed.run())
        self._clients[key] = self._clients.get(key, 0) + 1
        try:
            yield self._feeds[key][0]
        finally:
            self._clients[key] -= 1
            if not self._clients[key]:
                leaving = asyncio.create_task(self._leave(key))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, key: str) -> None:
        await asyncio.sleep(LINGERS)
        if not self._clients.get(key) and key in self._feeds:
            self._clients.pop(key, None)
            self._feeds.pop(key)[1].cancel()

    async def aclose(self) -> None:
        """Follow nothing any more."""
        tasks = [*self._leaving, *(task for _, task in self._feeds.values())]
        self._feeds.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
