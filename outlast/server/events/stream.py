"""The events of a run to one client, as server-sent events that resume after the last id that it has seen."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response
from temporalio.client import WorkflowExecutionDescription

from outlast.cli.printing import written_json
from outlast.cli.reaching import Reach
from outlast.cli.watching.calls import Key
from outlast.server.events.feed import Feed, Feeds
from outlast.server.events.log import Logged, text_of
from outlast.server.operations import Answer, Body, Call

HEARTBEAT = 5
"""Seconds between comments that keep a quiet connection alive."""
SEND_WITHIN = 30.0
"""Seconds in which a client must take what is sent; one that does not is cut off, and may resume."""
LAST_ID = "Last-Event-ID"


@dataclass(frozen=True)
class StreamEvent:
    """One event of the stream; only what history holds has an id."""

    kind: str
    data: dict[str, Any]
    id: str = ""


async def stream_events(reach: Reach, feed: Feed, after: str = "", *, live: bool = False) -> AsyncIterator[StreamEvent]:
    """Yield all events of a run after an id, until it has ended; `live` leaves out what has happened, but for its end."""
    if live and not after:
        await feed.caught_up.wait()
        kept = [event.id for event in feed.events if event.kind != "run_ended"]
        after = kept[-1] if kept else ""
    if after and after not in feed.places:
        await feed.caught_up.wait()
        if after not in feed.places:  # the run was reset, or its first part deleted: what was seen is no longer true
            yield StreamEvent("restarted", {"after": after})
    place = feed.places.get(after, -1) + 1
    version, sent = 0, dict[Key, tuple[int, int]]()
    while True:
        changed = feed.changed
        while place < len(feed.events):
            event = feed.events[place]
            place += 1
            yield StreamEvent(event.kind, await _with_text(reach, event), event.id)
        if feed.version != version and feed.status is not None:
            version = feed.version
            yield StreamEvent("status", feed.status)
        for each in _live(feed, sent):
            yield each
        if place < len(feed.events) or feed.version != version:
            continue
        if feed.over:
            return
        await changed.wait()


async def _with_text(reach: Reach, event: Logged) -> dict[str, Any]:
    text = await text_of(reach, event)
    return event.data if text is None else {**event.data, "text": text}


def _live(feed: Feed, sent: dict[Key, tuple[int, int]]) -> list[StreamEvent]:
    """Return what is new of the texts that are being written, to a client that was sent so much of them."""
    found = []
    for gone in [key for key in sent if key not in feed.texts]:
        del sent[gone]
    for key, live in feed.texts.items():
        attempt, end = sent.get(key, (live.attempt, 0))
        end = end if attempt == live.attempt else 0
        if end < live.end:
            start = max(end, live.start)
            data = {**live.call, "attempt": live.attempt, "start": start, "text": live.text[start - live.start :]}
            found.append(StreamEvent("text", data))
        sent[key] = live.attempt, live.end
    return found


class EventsQuery(Body):
    """Where to begin."""

    after: str = Field(default="", max_length=200)
    """The id of the last event that was seen, where the header Last-Event-ID cannot be set."""
    live: bool = False
    """Leave out what has happened already, where no event was seen: for whoever has looked at the run otherwise."""


def events_of(feeds: Feeds) -> Callable[[Call], Awaitable[Answer]]:
    """Make the operation that sends the events of a run."""

    async def events(call: Call) -> Answer:
        found = await call.find()
        after = call.request.headers.get(LAST_ID) or call.query.after

        async def sent() -> AsyncIterator[ServerSentEvent]:
            async with feeds.of(found) as feed:
                async for each in stream_events(call.reach, feed, after, live=call.query.live):
                    data = written_json(each.data)
                    yield ServerSentEvent(data=data, event=each.kind, id=each.id or None)

        if await _all_seen(feeds, found, after):
            return Response(status_code=204)  # a browser's EventSource stops asking only then
        return EventSourceResponse(sent(), ping=HEARTBEAT, send_timeout=SEND_WITHIN)

    return events


async def _all_seen(feeds: Feeds, found: WorkflowExecutionDescription, after: str) -> bool:
    """Whether a run has ended, and its last event is the one that the client names."""
    if not after or found.close_time is None:
        return False
    async with feeds.of(found) as feed:
        await feed.caught_up.wait()
        return bool(feed.events) and feed.events[-1].kind == "run_ended" and feed.events[-1].id == after
