"""Conversations: a turn reads what is new, however long they are, and a worker that knows nothing reads them in chunks."""

from pathlib import Path

import pytest

from outlast.agents.transcript_activities import CHUNK, Entry, Transcripts
from outlast.contracts import Message, Part, ToolAnswer
from outlast.storage.activities import ContentStore
from tests.activity.storage.storing import count_reads

LONG = "It is. " * 500
VERY_LONG = (CHUNK + 1) * CHUNK + 5
"""Turns of which the first are in a chunk of chunks."""


def opened(tmp_path: Path, cache_bytes: int = 10**6) -> Transcripts:
    return Transcripts(ContentStore.open(tmp_path.as_uri(), cache_bytes=cache_bytes))


def asked(number: int) -> Message:
    return Message(parts=(Part(text=f"question {number}"),))


async def grown(transcripts: Transcripts, turns: int, ref: str | None = None, first: int = 0) -> str:
    """Make turns the way a model call does: a question and an answer each."""
    for number in range(first, first + turns):
        answer = await transcripts.assistant([{"type": "text", "text": f"answer {number}"}])
        ref = (await transcripts.append(ref, (asked(number), answer))).ref
    assert ref is not None
    return ref


async def texts(transcripts: Transcripts, ref: str) -> list[str]:
    raw = await transcripts.raw(await transcripts.messages(ref))
    return [block["text"] for message in raw for block in message["content"]]


@pytest.mark.parametrize("turns", [1, 2, CHUNK, CHUNK + 1, CHUNK + 2, 3 * CHUNK + 5, VERY_LONG])
async def test_all_turns_come_back_in_their_order(tmp_path: Path, turns: int) -> None:
    ref = await grown(opened(tmp_path), turns)
    expected = [text for number in range(turns) for text in (f"question {number}", f"answer {number}")]
    assert await texts(opened(tmp_path), ref) == expected


async def test_a_longer_transcript_leaves_the_shorter_one_as_it_was(tmp_path: Path) -> None:
    transcripts = opened(tmp_path)
    short = await transcripts.append(None, (asked(0),))
    ref = await grown(transcripts, CHUNK * 2, short.ref, first=1)
    assert len(await transcripts.messages(short.ref)) == short.messages == 1
    assert (await transcripts.append(ref, (asked(99),))).messages == 1 + CHUNK * 4 + 1


@pytest.mark.parametrize("turn", [10, 200])
async def test_a_turn_reads_what_is_new_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    here, there = opened(tmp_path), opened(tmp_path)
    ref = await grown(here, turn)
    await there.messages(ref)  # another worker has made a turn as well
    longer = await grown(here, 1, ref, first=turn)
    reads = count_reads(monkeypatch)
    assert len(await here.messages(longer)) == 2 * turn + 2
    assert reads == []  # it wrote all of it
    assert len(await there.messages(longer)) == 2 * turn + 2
    assert len(reads) <= 2  # the new entry, and a chunk where one became full


@pytest.mark.parametrize("turn", [10, 200, VERY_LONG])
async def test_a_worker_that_knows_nothing_reads_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    ref = await grown(opened(tmp_path), turn)
    reads = count_reads(monkeypatch)
    cold = opened(tmp_path, cache_bytes=0)
    assert len(await cold.messages(ref)) == 2 * turn
    assert len(reads) <= 1 + min(turn // CHUNK, CHUNK) + CHUNK
    assert (tmp_path / ref[:2] / ref).stat().st_size < 3 * CHUNK * 50, "what a turn writes does not grow with the turns"
    reads.clear()
    await cold.append(ref, (asked(turn),))
    assert len(reads) <= 1 + 2 * CHUNK


async def test_a_worker_of_an_earlier_version_goes_on_with_large_chunks_and_back(tmp_path: Path) -> None:
    """It does not know of `large`, and leaves it out."""
    transcripts, store = opened(tmp_path), ContentStore.open(tmp_path.as_uri())
    ref = await grown(transcripts, VERY_LONG)
    entry = Entry.model_validate_json(await store.get(ref))
    assert (entry.large, entry.chunks) == (1, 2)
    ref = await store.put(entry.model_dump_json(exclude={"large"}).encode())
    ref = await grown(transcripts, VERY_LONG, ref, first=VERY_LONG)
    expected = [text for number in range(2 * VERY_LONG) for text in (f"question {number}", f"answer {number}")]
    assert await texts(opened(tmp_path), ref) == expected


async def test_a_transcript_of_the_older_form_is_read_and_goes_on(tmp_path: Path) -> None:
    transcripts = opened(tmp_path)
    store = ContentStore.open(tmp_path.as_uri())
    ref, turns = None, 2 * CHUNK + 3
    for number in range(turns):
        entry = Entry(previous=ref, count=number + 1, messages=(asked(number),))
        ref = await store.put(entry.model_dump_json(exclude_none=True, exclude={"earlier", "chunks"}).encode())
    assert ref is not None
    assert await texts(transcripts, ref) == [f"question {number}" for number in range(turns)]
    longer = await transcripts.append(ref, (asked(turns),))
    assert longer.messages == turns + 1
    longer = await transcripts.append(longer.ref, (asked(turns + 1),))
    assert await texts(transcripts, longer.ref) == [f"question {number}" for number in range(turns + 2)]


async def test_long_texts_of_a_conversation_are_kept_once_and_resolved(tmp_path: Path) -> None:
    transcripts = opened(tmp_path)
    store = ContentStore.open(tmp_path.as_uri())
    answer = ToolAnswer(id="t1", content=Part(ref=await store.put(LONG.encode())), failed=True)
    blocks = [{"type": "tool_use", "id": "t1", "name": "read", "input": {"path": LONG}}]
    first = (
        Message(parts=(Part(text=LONG, label="material"), Part(text="Read."))),
        await transcripts.assistant(blocks),
    )
    ref = (await transcripts.append(None, first)).ref
    ref = (await transcripts.append(ref, (Message(answers=(answer,)),))).ref
    raw = await opened(tmp_path).raw(await opened(tmp_path).messages(ref))
    assert raw == [
        {
            "role": "user",
            "content": [{"type": "text", "text": f'<part label="material">\n{LONG}\n</part>\n\nRead.'}],
        },
        {"role": "assistant", "content": blocks},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": LONG, "is_error": True}],
        },
    ]
    entry = (tmp_path / ref[:2] / ref).read_text()
    assert LONG not in entry
