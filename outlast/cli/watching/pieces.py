"""Where the texts of running calls come from: their heartbeats, and the stream of a run that was started with one.

Reading either leaves nothing in history. `workflow_streams` lets a subscriber wait by an update, and updates *are*
history; so its stream is read by its query, which answers at once.
"""

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionDescription, WorkflowHandle, WorkflowQueryFailedError
from temporalio.contrib.workflow_streams import PollInput, PollResult
from temporalio.service import RPCError

from outlast.cli.reaching import QUERY_DEADLINE, Reach
from outlast.cli.recorded.reading import Call, Decoding
from outlast.cli.watching.calls import Key
from outlast.contracts import STREAM_TOPIC, ModelRequest, Streamed

READ_STREAM = "__temporal_workflow_stream_poll"


class Pieces(Protocol):
    """A way by which pieces of texts reach a watcher."""

    async def new(self, found: WorkflowExecutionDescription, at_work: Mapping[Key, Call]) -> list[tuple[Key, Streamed]]:
        """Return what is new of the calls at work."""
        ...


class Heartbeats:
    """The last heartbeat of each call: free, a little late, and only the end of each text."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding

    async def new(self, found: WorkflowExecutionDescription, at_work: Mapping[Key, Call]) -> list[tuple[Key, Streamed]]:
        """Return the last heartbeat of each call."""
        pieces = []
        for pending in found.raw_description.pending_activities:
            key = (found.run_id, pending.activity_id)
            if key in at_work:
                piece = await self._decoding.read(pending.heartbeat_details, Streamed)
                pieces += [(key, piece)] if piece is not None and piece.text else []
        return pieces


class RunStream:
    """The stream of a run: whole and sooner, at the price of events in its history."""

    def __init__(self, reach: Reach) -> None:
        self._client = reach.client
        self._run_id = ""
        self._offset = 0

    async def new(self, found: WorkflowExecutionDescription, at_work: Mapping[Key, Call]) -> list[tuple[Key, Streamed]]:
        """Return what was published since the last time; nothing where no call publishes, or nobody answers now."""
        if not any(isinstance(call.asked, ModelRequest) and call.asked.stream for call in at_work.values()):
            return []
        if found.run_id != self._run_id:
            self._run_id, self._offset = found.run_id, 0
        handle: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(found.id, run_id=found.run_id)
        asked = PollInput(topics=[STREAM_TOPIC], from_offset=self._offset)
        try:
            answer = await handle.query(READ_STREAM, asked, result_type=PollResult, rpc_timeout=QUERY_DEADLINE)
        except (RPCError, WorkflowQueryFailedError):
            return []
        self._offset = answer.next_offset
        pieces = [await self._read(item.data) for item in answer.items]
        return [((found.run_id, piece.call), piece) for piece in pieces if (found.run_id, piece.call) in at_work]

    async def _read(self, data: str) -> Streamed:
        payload = Payload.FromString(base64.b64decode(data))
        read: list[Streamed] = await self._client.data_converter.decode([payload], [Streamed])
        return read[0]
