"""The calls of a run as its history tells them while it grows: each when it is wanted, and again when it has ended.

The server says of a call at work how often it was tried, but not which step it belongs to; only history knows. So
history is followed by one long poll, through restarts of the server and the parts of a run that continues as new.
"""

import asyncio
from typing import Any

from temporalio.client import WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError

from outlast.cli.reaching import Reach
from outlast.cli.recorded.events import Ended, RunRecord, take
from outlast.cli.recorded.reading import Call, Decoding
from outlast.cli.runs.waiting import PASSING
from outlast.storage.payload_codec import unsealed

AGAIN = 1.0
"""Seconds before a history that broke off is asked for again."""

Key = tuple[str, str]
"""A call's run id and activity id."""


class Calls:
    """Follows one run from where it stands; `open` are the calls at work, `ended` those that ended since it was emptied."""

    def __init__(self, reach: Reach, found: WorkflowExecutionDescription) -> None:
        self._reach = reach
        self._id = found.id
        self._run_id = found.run_id
        self._old = found.raw_description.workflow_execution_info.history_length
        self._decoding = Decoding(reach, found.id)
        self.open: dict[Key, Call] = {}
        self.ended: list[tuple[Key, Call]] = []

    async def follow(self) -> None:
        """Follow until the run ends; raises RPCError where asking again is no use."""
        run_id = self._run_id
        while run_id:
            record = RunRecord()
            while record.ended is None:
                try:
                    await self._read(run_id, record)
                except RPCError as error:
                    if error.status not in PASSING:
                        raise
                    await asyncio.sleep(AGAIN)
            self._old, run_id = 0, record.following

    async def _read(self, run_id: str, record: RunRecord) -> None:
        """Read on after the events that the record has."""
        handle: WorkflowHandle[Any, Any] = self._reach.client.get_workflow_handle(self._id, run_id=run_id)
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_id <= record.events:
                continue
            activity = take(record, await unsealed(self._reach.client.data_converter, event))
            if activity is None:
                continue
            key, call = (run_id, activity.id), await self._decoding.call(activity)
            if activity.how is Ended.OPEN:
                self.open[key] = call
            elif self.open.pop(key, None) and event.event_id > self._old:
                self.ended.append((key, call))
