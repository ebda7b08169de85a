"""Reads long texts into workflows: what a workflow reads is recorded in history, so it is packed."""

import asyncio
import gc
import lzma
import time
from base64 import b64encode

from temporalio import activity

from outlast.contracts import Packed, PackedRequest
from outlast.storage.activities import ContentStore
from outlast.storage.parts import only

PIECE = 1_000_000
"""Characters of packed text that travel through history in one message."""
PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 2 * 1024 * 1024}]
"""How texts are packed: what a run has done says much of it twice, megabytes apart, which zlib does not see."""

COLLECT_AFTER = 1.0
"""Seconds after which the part before has left the worker's cache, and the next one has taken over what it did."""
COLLECT_SHARE = 20
"""Collecting takes at most one 20th of a worker's time, however many runs continue as new."""


class PackedActivities:
    """Activities that read the content store for workflows."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._took = 0.0
        self._collecting: asyncio.TimerHandle | None = None

    @activity.defn
    async def read_packed(self, request: PackedRequest) -> Packed:
        """Read a piece of a text, or of what some steps came to that it tells of."""
        data = await self._store.get(request.ref)
        if request.steps:
            data = only(data, request.steps)
        else:
            self._collect_soon()
        packed = b64encode(await asyncio.to_thread(lzma.compress, data, filters=PACKING)).decode()
        start = request.piece * PIECE
        return Packed(data=packed[start : start + PIECE], pieces=max(1, -(-len(packed) // PIECE)))

    def _collect_soon(self) -> None:
        """Free the part of a run before the one that reads here: it goes in circles, for which Python looks seldom here."""
        if self._collecting is None:
            after = max(COLLECT_AFTER, COLLECT_SHARE * self._took)
            self._collecting = asyncio.get_running_loop().call_later(after, self._collect)

    def _collect(self) -> None:
        began = time.perf_counter()
        gc.collect()
        self._took = time.perf_counter() - began
        self._collecting = None
