"""Reads long texts into workflows: what a workflow reads is recorded in history, so it is packed."""

import asyncio
import lzma
from base64 import b64encode

from temporalio import activity

from outlast.contracts import Packed, PackedRequest
from outlast.storage.activities import ContentStore

PIECE = 1_000_000
"""Characters of packed text that travel through history in one message."""
PACKING = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 2 * 1024 * 1024}]
"""How texts are packed: what a run has done says much of it twice, megabytes apart, which zlib does not see."""


class PackedActivities:
    """Activities that read the content store for workflows."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    @activity.defn
    async def read_packed(self, request: PackedRequest) -> Packed:
        """Read a piece of a text."""
        data = await self._store.get(request.ref)
        packed = b64encode(await asyncio.to_thread(lzma.compress, data, filters=PACKING)).decode()
        start = request.piece * PIECE
        return Packed(data=packed[start : start + PIECE], pieces=max(1, -(-len(packed) // PIECE)))
