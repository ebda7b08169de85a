"""Task queues that stand still for a while, on every worker: the rate of the queue is 0 meanwhile, which the server keeps.

The server's own configuration of a queue is all that workers share for it: whose rate it is, for how long, and what it was before
stand in the reason of the change. Whoever set it sets it back. Every worker of the queue looks on, so that one that dies
meanwhile leaves nothing behind: whoever sees that the time is over sets it back too.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimitConfig, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, UpdateTaskQueueConfigRequest
from temporalio.client import Client
from temporalio.service import RPCError

LOOK_EVERY = 5.0
"""Seconds between two looks at the queues."""
SLACK = 0.5
"""Seconds after the end of a pause that whoever set it has for setting it back, before others do."""
RPC_SECONDS = timedelta(seconds=5)

_REASON = re.compile(
    r"^refused for the rate: nothing starts for (?P<seconds>[\d.]+) s; before: (?P<before>[\d.]+/s|no limit)"
)


@dataclass(frozen=True)
class Pause:
    """A pause that stands in the configuration of a queue."""

    since: datetime
    seconds: float
    before: float | None
    """Calls per second that somebody had set before; None where nobody had."""

    @property
    def left(self) -> float:
        """Seconds until it is over, by this machine's clock."""
        return self.seconds - (datetime.now(UTC) - self.since).total_seconds()


@dataclass
class QueuePauses:
    """Pauses queues for all their workers, and sets back what a dead worker has left."""

    client: Client
    _until: dict[str, float] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def watched(self, queues: Collection[str]) -> AsyncIterator[None]:
        """Look on while the block runs, and set back what is over."""
        looking = [asyncio.create_task(self._look(queue)) for queue in queues]
        try:
            yield
        finally:
            for task in looking:
                task.cancel()
            # A pause that is still due stays: the other workers, or the next one that starts here, set it back.
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*looking, *self._tasks, return_exceptions=True)

    async def pause(self, queue: str, seconds: float) -> None:
        """Let nothing start from a queue for so many seconds; a longer pause that it has already stays."""
        now = time.monotonic()
        if self._until.get(queue, 0.0) >= now + seconds:
            return
        self._until[queue] = now + seconds  # before the first await: calls that run side by side are refused together
        try:
            limit = await self._limit(queue)
            there = pause_of(limit)
            if there is not None and there.left >= seconds:
                return
            before = there.before if there is not None else _rate(limit)
            ours = pause_of(await self._set(queue, 0.0, _reason(seconds, before)))
        except RPCError as error:
            logging.getLogger(__name__).warning(
                "the task queue %r cannot be paused for the other workers, which will be refused too: %s", queue, error
            )
            return
        task = asyncio.create_task(self._end(queue, ours, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, queue: str, ours: Pause | None, seconds: float) -> None:
        await asyncio.sleep(seconds)
        there = await self._found(queue)
        if there is not None and there == ours:  # else somebody has set a longer one since
            await self._set_back(queue, there)

    async def _look(self, queue: str) -> None:
        seen: Pause | None = None
        first = 0.0
        while True:
            there = await self._found(queue)
            if there != seen:
                seen, first = there, time.monotonic()
            if there is not None:
                # By the time since it was seen, too: the server's clock may be far ahead of this machine's.
                left = min(there.left, there.seconds - (time.monotonic() - first)) + SLACK
                if left <= 0:
                    await self._set_back(queue, there)
                else:
                    await asyncio.sleep(min(left, LOOK_EVERY))
                    continue
            await asyncio.sleep(LOOK_EVERY)

    async def _found(self, queue: str) -> Pause | None:
        with _tolerated(queue):
            return pause_of(await self._limit(queue))
        return None

    async def _set_back(self, queue: str, pause: Pause) -> None:
        with _tolerated(queue):
            await self._set(queue, pause.before, "as it was before the pause")

    async def _limit(self, queue: str) -> RateLimitConfig:
        request = DescribeTaskQueueRequest(
            namespace=self.client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            report_config=True,
        )
        answer = await self.client.workflow_service.describe_task_queue(request, timeout=RPC_SECONDS)
        return answer.config.queue_rate_limit

    async def _set(self, queue: str, rate: float | None, reason: str) -> RateLimitConfig:
        request = UpdateTaskQueueConfigRequest(
            namespace=self.client.namespace,
            identity=self.client.identity,
            task_queue=queue,
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        update = request.update_queue_rate_limit
        update.reason = reason
        if rate is not None:  # left out, the limit of the workers counts again
            update.rate_limit.SetInParent()
            update.rate_limit.requests_per_second = rate
        answer = await self.client.workflow_service.update_task_queue_config(request, timeout=RPC_SECONDS)
        return answer.config.queue_rate_limit


@contextmanager
def _tolerated(queue: str) -> Iterator[None]:
    """Let a server that does not answer be: the next look asks again."""
    try:
        yield
    except RPCError as error:
        logging.getLogger(__name__).debug("the task queue %r cannot be looked at: %s", queue, error)


def pause_of(limit: RateLimitConfig) -> Pause | None:
    """Read the pause that stands in a queue's configuration; None where there is none of ours."""
    found = _REASON.match(limit.metadata.reason)
    if found is None or not limit.HasField("rate_limit") or limit.rate_limit.requests_per_second != 0:
        return None
    before = found["before"]
    return Pause(
        limit.metadata.update_time.ToDatetime(UTC),
        float(found["seconds"]),
        None if before == "no limit" else float(before.removesuffix("/s")),
    )


def _rate(limit: RateLimitConfig) -> float | None:
    return limit.rate_limit.requests_per_second if limit.HasField("rate_limit") else None


def _reason(seconds: float, before: float | None) -> str:
    was = "no limit" if before is None else f"{before:g}/s"
    return f"refused for the rate: nothing starts for {seconds:.2f} s; before: {was}"
