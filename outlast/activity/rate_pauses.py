"""A refusal for the rate (429) holds for every call of that model, not only for the one that met it.

Further calls would be refused too, and a provider that goes on being asked may refuse for longer. So while the time that it
asked for runs, this worker makes no call of that model, or of its class; the queue of a class stands still for all workers
(`outlast.activity.queue_pauses`). A call that must wait here gives its slot back; it comes again when the time is over, and none
of its own attempts is used up.
"""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta

from outlast.activity.queue_pauses import QueuePauses
from outlast.errors import ErrorKind, retryable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds of a pause where the provider names none; it doubles from refusal to refusal, up to the longest."""
JITTER = 0.2
"""Calls come back spread over this share of the pause, so that they do not all come at once."""


class RatePauses:
    """Holds the model calls of one worker process back while their provider refuses calls of that model or class.

    `now` is by the server's clock (Unix seconds), which says when a call that was held back comes again: in tests it may skip.
    """

    def __init__(self, class_of: Callable[[str], str]) -> None:
        self._class_of = class_of
        self._until: dict[str, float] = {}
        self._refusals: dict[str, int] = {}
        self.queues: Mapping[str, str] = {}
        """The task queue of each class that this worker serves."""
        self.shared: QueuePauses | None = None

    def limit_of(self, model: str, task_queue: str) -> str:
        """Return what shares one limit with a call: the class by whose queue it came, that of its model, else the model alone."""
        came_by = next((name for name, queue in self.queues.items() if queue == task_queue), "")
        return came_by or self._class_of(model) or model

    def left(self, limit: str, now: float) -> float:
        """Return for how many seconds no call may be made; 0 where one may."""
        return max(0.0, self._until.get(limit, 0.0) - now)

    async def refused(self, limit: str, now: float, after: timedelta | None) -> None:
        """Make no more calls for as long as the provider asks, on any worker where a queue of the class allows it."""
        self._refusals[limit] = refusals = self._refusals.get(limit, 0) + 1
        usual = min(FIRST_PAUSE * 2.0 ** min(refusals - 1, 10), LONGEST_PAUSE)
        seconds = after.total_seconds() if after is not None else usual
        if self.left(limit, now) >= seconds:
            return
        self._until[limit] = now + seconds
        if self.shared is not None and limit in self.queues:
            await self.shared.pause(self.queues[limit], seconds)

    def answered(self, limit: str) -> None:
        """Take note that a call was answered."""
        self._refusals.pop(limit, None)

    def check(self, limit: str, now: float) -> None:
        """Raise a retryable RateLimited while no call may be made; its next attempt comes when one may."""
        if left := self.left(limit, now):
            pause = left * (1 + random.uniform(0, JITTER))  # noqa: S311 - spreads load
            raise retryable(
                ErrorKind.RATE_LIMITED,
                f"not sent: calls to {limit} were refused for their rate, and may begin again in {left:.1f} s",
                after=timedelta(seconds=pause),
                benign=True,
            )
