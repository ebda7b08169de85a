"""Follows a run's history while it grows: through restarts of the server and the parts of a run that continues as new."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from outlast.cli.reaching import PASSING, Reach
from outlast.cli.recorded.events import Recorded, RunRecord, take
from outlast.storage.payload_codec import unsealed

AGAIN = 1.0
"""Seconds before a history that broke off is asked for again."""


@dataclass(frozen=True)
class Followed:
    """One event, the run id of the part that it belongs to, and the activity that began or ended with it, if one did."""

    run_id: str
    event: HistoryEvent
    activity: Recorded | None


async def follow(reach: Reach, workflow_id: str, run_id: str) -> AsyncIterator[Followed]:
    """Yield each event from the beginning of this part on until the run ends; raises RPCError where asking again is no use."""
    while run_id:
        record = RunRecord()
        handle: WorkflowHandle[Any, Any] = reach.client.get_workflow_handle(workflow_id, run_id=run_id)
        while record.ended is None:
            try:
                async for event in handle.fetch_history_events(wait_new_event=True):
                    if event.event_id > record.events:
                        read = await unsealed(reach.client.data_converter, event)
                        yield Followed(run_id, read, take(record, read))
            except RPCError as error:
                if error.status not in PASSING:
                    raise
                await asyncio.sleep(AGAIN)
        run_id = record.following
