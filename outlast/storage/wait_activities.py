"""Activities that stand in history where a local activity leaves nothing: a wait for the store, and a new workflow task."""

import asyncio

from temporalio import activity

from outlast.activity.heartbeat import heartbeats
from outlast.activity.waiting import in_place
from outlast.contracts import NoOp, StoreWait
from outlast.errors import ErrorKind, non_retryable
from outlast.storage.activities import ContentStore

LONGEST_PAUSE = 60.0
"""Seconds at most before a store that can be written, but refused the call all the same, is tried again."""


class StoreWaitActivities:
    """Waits for a content store that is away."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def no_op(self, request: NoOp) -> None:
        """Do nothing: what follows in the run is done in another workflow task than what was before."""

    @activity.defn
    async def await_store(self, request: StoreWait) -> None:
        """Wait until the store can be read and written; raises ContentUnavailable where STORE_WAIT is over.

        A run may come back although that was so, as from a full disk: then there is a pause first, twice as long each time.
        """
        waited = (activity.info().started_time - request.since).total_seconds()
        if waited >= self._store.waits:
            why = f"{request.reason}; waited {waited:.0f} s for it (STORE_WAIT={self._store.waits:.0f})"
            raise non_retryable(ErrorKind.CONTENT_UNAVAILABLE, why)
        waits = in_place()
        waits.since = request.since.timestamp()
        async with heartbeats():
            with waits.showing(self._store.waits) as show:
                show(request.reason)
                if request.turn > 1:
                    await asyncio.sleep(min(2.0 ** min(request.turn, 10), LONGEST_PAUSE))
                await self._store.check()
