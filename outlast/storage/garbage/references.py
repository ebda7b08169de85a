"""What the histories of a namespace refer to: every open run, every closed one that is retained, and every schedule.

A history that cannot be read could refer to anything, so it ends the search.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from google.protobuf.message import Message
from pydantic_core import from_json
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.service import RPCError, RPCStatusCode

from outlast.contracts import ModelRequest
from outlast.storage.activities import content_key, named_key
from outlast.storage.names import attempt_record, call_record, reply_record, undo_record
from outlast.storage.payload_codec import ENCODING

AT_ONCE = 8
"""Histories that are read side by side."""
MOST_ATTEMPTS = 200
"""Attempts of a call that may have left a record."""
READABLE = {b"", b"binary/null", b"binary/plain", b"binary/protobuf", b"json/plain", b"json/protobuf"}

_REFERENCE = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
_KEY = re.compile(rb'"key"\s*:\s*("(?:[^"\\]|\\.){1,2000}")')
"""Keys of calls, by which the records of their undos are named."""
_ENDED = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)


class UnreadableError(Exception):
    """A history or an object cannot be read, so nobody knows what it refers to; the message says which and why."""


def keys_in(data: bytes, namespaces: Iterable[str]) -> set[str]:
    """Return the keys of all objects that a text may refer to: by reference, and by the keys of undoable calls."""
    found = {content_key(ref.decode()) for ref in _REFERENCE.findall(data)}
    for quoted in _KEY.findall(data):
        try:
            key = from_json(quoted)
        except ValueError:
            continue
        found |= {
            named_key(undo_record(kind, namespace, key)) for namespace in namespaces for kind in ("undo", "undone")
        }
    return found


class Histories:
    """The histories of one namespace."""

    def __init__(self, client: Client, progress: Callable[[int], None] = lambda _: None) -> None:
        self._client = client
        self._codec = client.data_converter.payload_codec
        self._progress = progress
        self.runs = 0
        """How many were read so far."""

    async def each(self, take: Callable[[set[str]], None]) -> None:
        """Hand the keys that each event refers to to `take`; raises UnreadableError."""
        runs = self._client.list_workflows()
        reading = asyncio.Lock()

        async def read() -> None:
            while True:
                async with reading:
                    run = await anext(runs, None)
                if run is None:
                    return
                try:
                    await self._run(run.id, run.run_id, take)
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:  # its retention has just ended
                        raise
                self.runs += 1
                self._progress(self.runs)

        try:
            async with asyncio.TaskGroup() as readers:
                for _ in range(AT_ONCE):
                    readers.create_task(read())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        async for keys in self._schedules():
            take(keys)

    async def _run(self, workflow_id: str, run_id: str, take: Callable[[set[str]], None]) -> None:
        namespace, running = self._client.namespace, dict[int, str]()
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        async for event in handle.fetch_history_events():
            take(await self._keys(event, f"the history of run {workflow_id!r} ({run_id})"))
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled = event.activity_task_scheduled_event_attributes.activity_id
                running[event.event_id] = scheduled
                names = (call_record(kind, namespace, workflow_id, run_id, scheduled) for kind in ("call", "tool"))
                take({named_key(name) for name in names} | await self._reply(event, workflow_id, run_id))
            elif event.event_type in _ENDED:
                running.pop(_scheduled_by(event), None)
        for scheduled in running.values():
            call = call_record("call", namespace, workflow_id, run_id, scheduled)
            take({named_key(attempt_record(call, attempt)) for attempt in range(1, MOST_ATTEMPTS + 1)})

    async def _reply(self, event: HistoryEvent, workflow_id: str, run_id: str) -> set[str]:
        """Return the key of the reply to a model call, whose name holds what was asked."""
        wanted = event.activity_task_scheduled_event_attributes
        if wanted.activity_type.name != "call_model":
            return set()
        found: set[str] = set()
        for payload in await readable(list(wanted.input.payloads), self._codec, f"a call of run {workflow_id!r}"):
            with suppress(ValueError):
                request = ModelRequest.model_validate_json(payload.data)
                found.add(named_key(reply_record(self._client.namespace, workflow_id, run_id, request)))
        return found

    async def _schedules(self) -> AsyncIterator[set[str]]:
        """Find what the runs that schedules start will be given."""
        try:
            async for listed in await self._client.list_schedules():
                described = await self._client.get_schedule_handle(listed.id).describe()
                yield await self._keys(described.raw_description, f"schedule {listed.id!r}")
        except RPCError as error:
            if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.NOT_FOUND):
                raise

    async def _keys(self, message: Message, where: str) -> set[str]:
        payloads = await readable(list(payloads_in(message)), self._codec, where)
        found: set[str] = set()
        for payload in payloads:
            found |= keys_in(payload.data, (self._client.namespace,))
        return found


async def readable(payloads: Sequence[Payload], codec: PayloadCodec | None, where: str) -> Sequence[Payload]:
    """Decrypt payloads; raises UnreadableError that says what is missing."""
    try:
        decoded = await codec.decode(payloads) if codec is not None and payloads else payloads
    except Exception as error:
        raise UnreadableError(f"{where} cannot be read: {error}") from error
    for payload in decoded:
        encoding = payload.metadata.get("encoding", b"")
        if encoding not in READABLE or payload.external_payloads:
            why = (
                "PAYLOAD_KEYS is not set"
                if encoding == ENCODING
                else f"{encoding.decode(errors='replace')!r} is unknown"
            )
            raise UnreadableError(f"{where} cannot be read: {why}")
    return decoded


def payloads_in(message: Message) -> Iterator[Payload]:
    """Find every payload within a message."""
    if isinstance(message, Payload):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                continue
            children = value.values()
        else:
            children = value if isinstance(value, Iterable) and not isinstance(value, Message) else (value,)
        for child in children:
            yield from payloads_in(child)


def _scheduled_by(event: HistoryEvent) -> int:
    attributes = getattr(event, event.WhichOneof("attributes") or "")
    return int(attributes.scheduled_event_id)
