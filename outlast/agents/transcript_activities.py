"""Conversations in the content store: each entry holds its own messages and the references of all that comes before it.

An entry names its predecessors one by one, until there are enough of them to be written as one chunk, and so with chunks. So each
turn is written three times at most, an entry of turn 2,000 names no more than 60 others, and reading takes as many reads, which
do not wait for one another.
What a model thought and which tools it called must go back to it unchanged, so an assistant's turn is kept as the API gave it.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict
from temporalio import activity

from outlast.contracts import AppendRequest, Message, Part, Transcript
from outlast.errors import ErrorKind, non_retryable
from outlast.llm.body import characters
from outlast.llm.prompting import render, resolved
from outlast.storage.activities import ContentStore

BLOCKS_TYPE = "application/json"
EMPTY = "(nothing)"
"""Stands for a blank message, which the API refuses; a model may well have answered nothing."""
TOLD_CHARACTERS = 8_000_000
"""Characters of conversations that a worker keeps in the form in which they are sent."""
CHUNK = 16
"""How many entries become one chunk, and how many chunks a large one."""


class Entry(BaseModel):
    """One entry or chunk as it lies in the store."""

    model_config = ConfigDict(frozen=True)

    earlier: tuple[str, ...] = ()
    """References of all that comes before, oldest first."""
    chunks: int = 0
    """How many of them, from the first on, are chunks."""
    large: int = 0
    """How many of the chunks, from the first on, are made of chunks; versions before 0.3.0 take these for any other."""
    previous: str | None = None
    """The entry before, in transcripts that were begun when an entry named no more than that."""
    count: int
    """Messages up to the end of this entry."""
    messages: tuple[Message, ...]


class Transcripts:
    """Reads and extends conversations."""

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._told: OrderedDict[str, tuple[list[dict[str, Any]], int]] = OrderedDict()
        self._told_characters = 0

    async def conversation(self, ref: str | None, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return a transcript in the API's form, with `messages` behind it; raises ContentMissing or ContentAltered.

        What was read for the turn before is not read again, nor worked out. Nobody may change what this returns.
        """
        if ref is None:
            return await self.raw(messages)
        refs = (*await self._before(await self._entry(ref)), ref)
        known = {each: self._told[each][0] for each in refs if each in self._told}
        fresh = [each for each in refs if each not in known]
        entries = await self._entries(fresh)
        raw = iter(await self.raw(message for entry in entries for message in entry.messages))
        found = {each: list(islice(raw, len(entry.messages))) for each, entry in zip(fresh, entries, strict=True)}
        told = [message for each in refs for message in (known.get(each) or found[each])]
        for each in refs:
            self._keep_told(each, known.get(each) or found[each])
        return [*told, *await self.raw(messages)]

    def _keep_told(self, ref: str, told: list[dict[str, Any]]) -> None:
        """Keep an entry in the API's form; what has not been asked for longest goes first."""
        if ref in self._told:
            self._told.move_to_end(ref)
        elif (size := characters(told)) <= TOLD_CHARACTERS // 2:
            self._told[ref] = (told, size)
            self._told_characters += size
            while self._told_characters > TOLD_CHARACTERS:
                self._told_characters -= self._told.popitem(last=False)[1][1]

    async def messages(self, ref: str | None) -> list[Message]:
        """Return all messages of a transcript, oldest first; raises ContentMissing or ContentAltered."""
        if ref is None:
            return []
        last = await self._entry(ref)
        entries = [*await self._entries(await self._before(last)), last]
        return [message for entry in entries for message in entry.messages]

    async def append(self, ref: str | None, messages: tuple[Message, ...]) -> Transcript:
        """Put messages at the end; returns the longer transcript, the former one stays as it was."""
        earlier: tuple[str, ...] = ()
        chunks = large = count = 0
        if ref is not None:
            last = await self._entry(ref)
            earlier, chunks, large, count = (*await self._before(last), ref), last.chunks, last.large, last.count
        if len(earlier) - chunks >= CHUNK:
            earlier, chunks = await self._folded(earlier, chunks), chunks + 1
        if chunks - large >= CHUNK:
            earlier, chunks, large = await self._folded(earlier, large), chunks + 1 - CHUNK, large + 1
        kept = tuple([await self._short(message) for message in messages])
        entry = Entry(earlier=earlier, chunks=chunks, large=large, count=count + len(messages), messages=kept)
        return Transcript(ref=await self._put(entry), messages=entry.count)

    async def raw(self, messages: Iterable[Message]) -> list[dict[str, Any]]:
        """Turn messages into the API's form, all texts resolved."""
        messages = tuple(messages)
        texts = await self._store.texts(part.ref for message in messages for part in _parts(message) if part.ref)
        return [{"role": message.role, "content": _blocks(message, texts)} for message in messages]

    async def assistant(self, blocks: list[dict[str, Any]]) -> Message:
        """Turn an answer of the API into a message that goes back unchanged."""
        text = json.dumps(blocks or [{"type": "text", "text": EMPTY}], ensure_ascii=False, separators=(",", ":"))
        content = await self._store.keep(text, media_type=BLOCKS_TYPE, summary="a model's turn")
        return Message(role="assistant", blocks=Part.of(content))

    async def _short(self, message: Message) -> Message:
        """Move long inline texts of a message into the store, so that each is kept once."""
        parts = tuple([await self._by_reference(part) for part in message.parts])
        return message.model_copy(update={"parts": parts})

    async def _by_reference(self, part: Part) -> Part:
        if part.text is None:
            return part
        return Part.of(await self._store.keep(part.text), part.label)

    async def _before(self, entry: Entry) -> tuple[str, ...]:
        """Return the references of all that comes before an entry."""
        found: list[str] = []
        while entry.previous is not None:
            found.insert(0, entry.previous)
            entry = await self._entry(entry.previous)
        return (*entry.earlier, *found)

    async def _folded(self, refs: tuple[str, ...], first: int) -> tuple[str, ...]:
        """Write some of these entries as one chunk, from the `first` on; returns the references with it in their place."""
        entries = await self._entries(refs[first : first + CHUNK])
        messages = tuple(message for entry in entries for message in entry.messages)
        chunk = await self._put(Entry(count=entries[-1].count, messages=messages))
        return (*refs[:first], chunk, *refs[first + CHUNK :])

    async def _put(self, entry: Entry) -> str:
        return await self._store.put(entry.model_dump_json(exclude_defaults=True).encode())

    async def _entry(self, ref: str) -> Entry:
        return (await self._entries([ref]))[0]

    async def _entries(self, refs: Sequence[str]) -> list[Entry]:
        texts = await self._store.texts(refs)
        return [_read(ref, texts[ref]) for ref in refs]


def _read(ref: str, text: str) -> Entry:
    try:
        return Entry.model_validate_json(text)
    except ValueError as error:
        raise non_retryable(
            ErrorKind.CONTENT_ALTERED, f"content {ref} is not an entry of a transcript: {error}"
        ) from None


def _parts(message: Message) -> Iterable[Part]:
    """List the parts of a message whose texts the model is given."""
    if message.blocks is not None:
        return (message.blocks,)
    return (*(answer.content for answer in message.answers), *message.parts)


def _blocks(message: Message, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    if message.blocks is not None:
        blocks: list[dict[str, Any]] = json.loads(resolved(message.blocks, texts))
        return blocks
    blocks = [_result(answer.id, resolved(answer.content, texts), failed=answer.failed) for answer in message.answers]
    text = render([(part.label, resolved(part, texts)) for part in message.parts])
    if text.strip() or not blocks:
        blocks.append({"type": "text", "text": text if text.strip() else EMPTY})
    return blocks


def _result(call: str, text: str, *, failed: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call, "content": text if text.strip() else EMPTY}
    return {**block, "is_error": True} if failed else block


class TranscriptActivities:
    """Extends conversations for workflows, where no model is asked."""

    def __init__(self, store: ContentStore) -> None:
        self._transcripts = Transcripts(store)

    @activity.defn
    async def append_messages(self, request: AppendRequest) -> Transcript:
        """Put messages at the end of a transcript (or begin one)."""
        before = request.transcript.ref if request.transcript else None
        return await self._transcripts.append(before, request.messages)
