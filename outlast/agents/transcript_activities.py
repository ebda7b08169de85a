"""Conversations in the content store: each entry holds its messages and names the entry before it.

So a conversation of N turns costs N entries, of which each is written once, however often it is asked on. The trap: what a
model thought and which tools it called must go back to it unchanged, so an assistant's turn is kept as the API gave it.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from outlast.contracts import AppendRequest, Message, Part, Transcript
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.prompting import render
from outlast.storage.activities import ContentStore

BLOCKS_TYPE = "application/json"
EMPTY = "(nothing)"
"""Stands for a blank message, which the API refuses; a model may well have answered nothing."""


class Entry(BaseModel):
    """One entry as it lies in the store; `count` is the number of messages up to its end."""

    model_config = ConfigDict(frozen=True)

    previous: str | None = None
    count: int
    messages: tuple[Message, ...]


class Transcripts:
    """Reads and extends conversations."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store

    async def messages(self, ref: str | None) -> list[Message]:
        """Return all messages of a transcript, oldest first; raises ContentMissing or ContentAltered."""
        found: list[Message] = []
        while ref is not None:
            entry = await self._entry(ref)
            found[:0] = entry.messages
            ref = entry.previous
        return found

    async def append(self, ref: str | None, messages: tuple[Message, ...]) -> Transcript:
        """Put messages at the end; returns the longer transcript, the former one stays as it was."""
        count = len(messages) + ((await self._entry(ref)).count if ref else 0)
        kept = tuple([await self._short(message) for message in messages])
        entry = Entry(previous=ref, count=count, messages=kept)
        data = entry.model_dump_json(exclude_none=True).encode()
        return Transcript(ref=await self._store.put(data), messages=count)

    async def raw(self, message: Message) -> dict[str, Any]:
        """Turn a message into the API's form, all texts resolved."""
        if message.blocks is not None:
            blocks = json.loads(await self._store.text(message.blocks))
        else:
            blocks = [await self._answer(answer.id, answer.content, answer.failed) for answer in message.answers]
            text = render([(part.label, await self._store.text(part)) for part in message.parts])
            if text.strip() or not blocks:
                blocks.append({"type": "text", "text": text if text.strip() else EMPTY})
        return {"role": message.role, "content": blocks}

    async def assistant(self, blocks: list[dict[str, Any]]) -> Message:
        """Turn an answer of the API into a message that goes back unchanged."""
        text = json.dumps(blocks or [{"type": "text", "text": EMPTY}], ensure_ascii=False, separators=(",", ":"))
        content = await self._store.keep(text, media_type=BLOCKS_TYPE, summary="a model's turn")
        return Message(role="assistant", blocks=Part.of(content))

    async def _answer(self, call: str, content: Part, failed: bool) -> dict[str, Any]:
        text = await self._store.text(content)
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call, "content": text if text.strip() else EMPTY}
        return {**block, "is_error": True} if failed else block

    async def _short(self, message: Message) -> Message:
        """Move long inline texts of a message into the store, so that each is kept once."""
        parts = tuple([await self._by_reference(part) for part in message.parts])
        return message.model_copy(update={"parts": parts})

    async def _by_reference(self, part: Part) -> Part:
        if part.text is None:
            return part
        return Part.of(await self._store.keep(part.text), part.label)

    async def _entry(self, ref: str) -> Entry:
        try:
            return Entry.model_validate_json(await self._store.get(ref))
        except ValueError as error:
            raise non_retryable(
                ErrorKind.CONTENT_ALTERED, f"content {ref} is no entry of a transcript: {error}"
            ) from None


class TranscriptActivities:
    """Extends conversations for workflows, where no model is asked."""

    def __init__(self, store: ContentStore) -> None:
        self._transcripts = Transcripts(store)

    @activity.defn
    async def append_messages(self, request: AppendRequest) -> Transcript:
        """Put messages at the end of a transcript (or begin one)."""
        before = request.transcript.ref if request.transcript else None
        return await self._transcripts.append(before, request.messages)
