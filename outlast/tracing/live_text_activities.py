"""Publishes what a model writes to the stream of its run, where its request asks for one; the answer never depends on it.

Each piece is a signal in the run's history, and a failed signal must not fail a call that is paid. So pieces are
few and bounded, and at the first error the call goes on without the stream.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity
from temporalio.contrib.workflow_streams import TopicHandle, WorkflowStreamClient

from outlast.contracts import STREAM_TOPIC, Streamed
from outlast.llm.base import Progress
from outlast.storage.activities import encodable

BATCH = 1.0
"""Seconds between two pieces."""

PUBLISHED = 16 * 1024
"""Most bytes of text that one attempt of a call publishes; what it writes after that is seen in heartbeats alone."""


@asynccontextmanager
async def publishing(progress: Progress, *, wanted: bool) -> AsyncIterator[None]:
    """Publish the progress of a call while it is made, if that is `wanted`."""
    if not wanted:
        yield
        return
    task = asyncio.create_task(_publish(progress))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _publish(progress: Progress) -> None:
    try:
        await _pieces(progress)
    except Exception as error:  # whatever it is: the call is paid, and its answer is worth more than its audience
        activity.logger.info("nothing more of this call is published: %s", error)


async def _pieces(progress: Progress) -> None:
    client = WorkflowStreamClient.from_within_activity(max_retry_duration=timedelta(seconds=BATCH))
    topic: TopicHandle[Streamed] = client.topic(STREAM_TOPIC, type=Streamed)
    published, left = 0, PUBLISHED
    while left > 0:
        await asyncio.sleep(BATCH)
        new = encodable(progress.text[-(progress.readable - published) :]) if progress.readable > published else ""
        if not new:
            continue
        topic.publish(_piece(progress, new))
        published, left = progress.readable, left - len(new.encode())
        await client.flush()


def _piece(progress: Progress, new: str) -> Streamed:
    info = activity.info()
    start = progress.readable - len(new)
    return Streamed(call=info.activity_id, characters=progress.characters, attempt=info.attempt, start=start, text=new)
