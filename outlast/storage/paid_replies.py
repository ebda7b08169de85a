"""What the attempts of one model call cost, and whether the next one still fits what the run's budget has reserved for it.

History tells the cost of the last attempt alone. So each attempt that fails leaves its cost in the content store, and one
that left none, because its worker died, counts as if it had been paid in full.
"""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_json
from temporalio import activity
from temporalio.exceptions import ApplicationError

from outlast.contracts import ModelFailure, ModelRequest, Usage
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.base import ModelCall, ModelReply
from outlast.storage.activities import ContentStore, encodable
from outlast.storage.names import attempt_record

_log = logging.getLogger(__name__)

BYTES_AROUND = 1024
"""Allowance for what a provider writes around a prompt: its own words on tools and schemas, and the marks between messages."""
BYTES_PER_MESSAGE = 16


@dataclass(frozen=True)
class PaidReply:
    """A reply as it came, with what the attempt that paid for it knew: all that a turn is made of, so that none is paid again.

    `ms` is how long the call took, `bound` how many tokens its prompt could have had, `wasted` what earlier attempts used.
    """

    reply: ModelReply
    ms: int
    attempt: int
    left_out: int = 0
    bound: int = 0
    wasted: Usage = field(default_factory=Usage)

    def dumped(self) -> bytes:
        """Write it; the text is left out where the blocks hold it."""
        spared = self.reply.text == _text_of(self.reply)
        written = replace(self, reply=replace(self.reply, text="")) if spared and self.reply.blocks else self
        try:
            return to_json(written)  # an answer of megabytes is copied once, into the record
        except PydanticSerializationError:  # half a character
            return encodable(json.dumps(_REPLY.dump_python(written), ensure_ascii=False)).encode()

    @classmethod
    def loaded(cls, record: bytes) -> "PaidReply | None":
        """Read it again; None where it is damaged, as by a power cut."""
        try:
            kept = _REPLY.validate_json(record)
        except ValueError as error:
            _log.warning(
                "the record of a paid reply cannot be read, so the call is made again: %s", type(error).__name__
            )
            return None
        if kept.reply.text or not kept.reply.blocks:
            return kept
        return replace(kept, reply=replace(kept.reply, text=_text_of(kept.reply)))


_REPLY: TypeAdapter[PaidReply] = TypeAdapter(PaidReply)


def _text_of(reply: ModelReply) -> str:
    return "".join(str(block.get("text", "")) for block in reply.blocks if block.get("type") == "text")


class PaidAttempts:
    """The costs of earlier attempts of the call that this activity makes."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    async def earlier(self, call: str, request: ModelRequest) -> Usage:
        """Return what all earlier attempts used together."""
        total = Usage()
        for attempt in range(1, activity.info().attempt):
            kept = await self._store.recall(attempt_record(call, attempt))
            if kept is not None:
                total = total.plus(Usage.model_validate_json(kept))
            elif request.reserved is not None:
                total = total.plus(Usage(input_tokens=request.reserved, output_tokens=request.max_tokens))
        return total

    async def failed(self, call: str, request: ModelRequest, paid: Usage) -> None:
        """Keep what this attempt used before it failed; where that cannot be kept, the failure itself is still reported."""
        if request.reserved is None and paid == Usage():
            return
        with suppress(ApplicationError):
            await self._store.remember(
                attempt_record(call, activity.info().attempt),
                paid.model_dump_json().encode(),
                waits=not activity.is_cancelled(),  # a cancelled call has no next attempt, and a worker that stops must not hang
            )


def hold(request: ModelRequest, bound: int, wasted: Usage) -> None:
    """Refuse a call that the budget does not allow: a longer prompt than reserved, or paid attempts before it.

    Raises a non-retryable ReservationShort with what must be reserved.
    """
    if request.reserved is None or (bound <= request.reserved and wasted == Usage()):
        return
    why = "earlier attempts were paid" if wasted != Usage() else f"{request.reserved} are reserved"
    raise non_retryable(
        ErrorKind.RESERVATION_SHORT,
        f"not sent: its prompt may have {bound} tokens, and {why}",
        ModelFailure(model=request.model, needed=bound),
    )


def prompt_bound(call: ModelCall, window: int) -> int:
    """Return how many tokens a prompt can have at most: no token is shorter than a byte, and none fits outside the window.

    A model that searches the web by itself may fill its window with what it finds.
    """
    if call.web_searches:
        return window
    texts = (call.system, *(text for _, text in call.messages), *(tool.model_dump_json() for tool in call.tools))
    written = (json.dumps(message, ensure_ascii=False) for message in call.history)
    schema = json.dumps(call.output_schema, ensure_ascii=False) if call.output_schema is not None else ""
    around = BYTES_AROUND + BYTES_PER_MESSAGE * (len(call.messages) + len(call.history))
    return min(sum(map(_bytes_of, chain(texts, written, (schema,)))) + around, window)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="replace"))
