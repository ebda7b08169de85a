"""What the content store holds about the undo of each call, under the call's key: how to undo it, and whether it was.

The record is kept before the call has its effect, so that an undo finds it even if the call was never reported. A
worker that was taken for dead may go on, so the undo leaves a mark first, and a call that finds it has no effect any more.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from temporalio import activity

from outlast.contracts import Contract
from outlast.storage.activities import ContentStore, reference
from outlast.storage.names import undo_record

UNDONE = b'{"undone":true}'
"""What stands in the mark of a call that was undone; that it is there is what counts."""


class UndoRecord(Contract):
    """How one call is undone; `call` is a digest of its tool and arguments, `undo` the tool that undoes it ("": not recorded)."""

    call: str
    arguments: Mapping[str, Any]
    undo: str = ""


class UndoRecords:
    """The records of all calls in one content store."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    async def find(self, key: str) -> UndoRecord | None:
        """Return the record of a call, or None: then it has had no effect. Raises ContentUnavailable."""
        kept = await self._store.recall(undo_record("undo", activity.info().namespace, key))
        return None if kept is None else UndoRecord.model_validate_json(kept)

    async def keep(self, key: str, record: UndoRecord) -> None:
        """Keep the record of a call that is about to have its effect; the first one stays. Raises ContentUnavailable."""
        await self._store.remember(
            undo_record("undo", activity.info().namespace, key), record.model_dump_json().encode()
        )

    async def close(self, key: str) -> None:
        """Mark a call as undone, or as one that must not happen any more. Raises ContentUnavailable."""
        await self._store.remember(undo_record("undone", activity.info().namespace, key), UNDONE)

    async def closed(self, key: str) -> bool:
        """Whether a call must not have its effect any more. Raises ContentUnavailable."""
        return await self._store.recall(undo_record("undone", activity.info().namespace, key)) is not None


def digest(tool: str, arguments: Mapping[str, Any]) -> str:
    """Distinguish one call from another that uses the same key."""
    return reference(_CALL.dump_json((tool, dict(sorted(arguments.items())))))


_CALL: TypeAdapter[tuple[str, dict[str, Any]]] = TypeAdapter(tuple[str, dict[str, Any]])
