"""What a model call shows of its text while it runs: the end of it, in the heartbeats that it sends anyway.

Heartbeats are not in history: the server keeps the last one, and describing the run shows it. Where a
call's last attempt misses its heartbeats, the server *does* write the last one into history, in the failure. So it holds no more
text than history may hold anyway, the inline limit of the content store; 0 switches the texts off.
"""

from typing import Any

from temporalio import activity

from outlast.contracts import Streamed
from outlast.llm.base import Progress
from outlast.storage.activities import encodable


def streamed(progress: Progress, limit: int) -> dict[str, Any]:
    """Write how far a call is, with at most `limit` bytes of the end of its text."""
    text = tail(progress.text, limit)
    start = progress.readable - len(text)
    piece = Streamed(characters=progress.characters, attempt=activity.info().attempt, start=start, text=encodable(text))
    return piece.model_dump() if text else {"characters": progress.characters, "attempt": piece.attempt}


def tail(text: str, limit: int) -> str:
    """Cut a text to its last whole characters that take at most `limit` bytes of UTF-8."""
    kept = text[max(len(text) - limit, 0) :]
    while kept and len(encodable(kept).encode()) > limit:
        kept = kept[max((len(encodable(kept).encode()) - limit) // 4, 1) :]
    return kept
