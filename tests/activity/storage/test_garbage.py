"""What nothing refers to goes in two steps, on a directory and on a real S3 server; what is referred to stays or comes back."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.api.common.v1 import Memo, Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client

from outlast.agents.transcript_activities import CHUNK, Transcripts
from outlast.contracts import Message, Part, StopReason, Usage
from outlast.llm.base import ModelReply
from outlast.storage.activities import ContentStore, content_key, named_key, reference
from outlast.storage.garbage.collecting import CLOCK, Collector, Report
from outlast.storage.garbage.index import PAGE
from outlast.storage.garbage.kinds import UNKNOWN, RecordKind, kind_of, register_record
from outlast.storage.garbage.references import Histories, UnreadableError, keys_in, payloads_in, readable
from outlast.storage.garbage.users import UnlistedError, User, noted_user, users
from outlast.storage.objects import TRASH, Objects
from outlast.storage.paid_replies import PaidReply
from outlast.storage.payload_codec import EncryptionCodec
from outlast.storage.sealing import Seal
from outlast.storage.spool import KEPT, Spool
from outlast.tools.activities import ToolOutcome
from outlast.undo.records import UNDONE, UndoRecord
from tests.activity.storage.test_content import s3_server, url  # noqa: F401 - fixtures

AT_ONCE = timedelta(seconds=-5)
"""A grace after which all that was just written is old."""
DAY = timedelta(days=1)


class Told:
    """Histories that refer to what they are given."""

    runs = 1

    def __init__(self, *texts: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._texts, self._meanwhile = texts, meanwhile

    async def each(self, take: Callable[[set[str]], None]) -> None:
        for text in self._texts:
            take(keys_in(text.encode(), ("default",)))
        self._meanwhile()


async def collect(store: ContentStore, *texts: str, grace: timedelta = AT_ONCE, delete: bool = True) -> Report:
    told = cast("Histories", Told(*texts))
    return await Collector(store.objects, ("default",), grace, delete=delete).collect([told])


def gone(report: Report) -> dict[str, int]:
    return {kind: tally.objects for kind, tally in report.unreferenced.items()}


async def test_what_is_referred_to_stays_with_all_that_it_refers_to(url: str) -> None:  # noqa: F811
    store = ContentStore.open(url)
    transcripts, ref = Transcripts(store), None
    for number in range(CHUNK + 2):
        ref = (await transcripts.append(ref, (Message(parts=(Part(text=f"{number} " * 900),)),))).ref
    orphan = await store.put(b"orphan " * 100)
    before = await store.put(b"former bytes")
    record = UndoRecord(call="c", arguments={"ref": before})
    await store.remember("undo/default/run/1/1", record.model_dump_json().encode())
    await store.remember("undone/default/other", UNDONE)

    said = json.dumps({"transcript": {"ref": ref}, "key": "run/1/1"})
    dry = await collect(store, said, delete=False)
    report = await collect(store, said)

    assert asdict(dry) == asdict(report) | {"deleted": False}
    in_a_chunk = CHUNK  # entries that the last one no longer names
    assert gone(report) == {"content": in_a_chunk + 1, "mark of an undone call": 1}
    assert len(await transcripts.messages(ref)) == CHUNK + 2
    assert await store.get(before) == b"former bytes"
    assert await store.recall("undo/default/run/1/1") == record.model_dump_json().encode()
    assert await store.objects.fetch(content_key(orphan)) is None


async def test_what_went_to_the_trash_comes_back_where_it_is_read_or_referred_to_and_is_deleted_otherwise(
    url: str,  # noqa: F811
) -> None:
    store = ContentStore.open(url)
    read, referred, rewritten, lost = [await store.put(f"text {number}".encode()) for number in range(4)]
    await store.remember("undo/default/k", b'{"call":"c","arguments":{}}')
    assert gone(await collect(store)) == {"content": 4, "how to undo a call": 1}

    assert await store.get(read) == b"text 0"
    assert await store.objects.fetch(content_key(read)) is not None
    assert await store.recall("undo/default/k") == b'{"call":"c","arguments":{}}'
    assert await store.put(b"text 2") == rewritten
    waits = await collect(store, referred, grace=DAY)
    assert (waits.emptied.objects, waits.restored >= 1) == (0, True)
    assert await store.objects.fetch(content_key(referred)) is not None
    report = await collect(store, referred, rewritten, read)
    assert await store.objects.fetch(TRASH + content_key(lost)) is None
    assert report.emptied.objects >= 1
    assert [await store.get(each) for each in (read, referred, rewritten)] == [b"text 0", b"text 1", b"text 2"]


async def test_what_is_young_stays_with_what_it_refers_to(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path.as_uri())
    old, orphan = await store.put(b"old"), await store.put(b"orphan")
    for ref in (old, orphan):
        os.utime(tmp_path / content_key(ref), (0, 0))
    await store.remember("search/today", json.dumps({"source": "web", "text": {"ref": old}}).encode())
    report = await collect(store, grace=DAY)
    assert (gone(report), report.unreferenced["content"].ages) == ({"content": 1}, {"older": 1})
    assert (tmp_path / content_key(old)).exists()
    # In the trash its time begins anew, whatever its age is.
    again = await collect(store, grace=DAY)
    assert (again.waiting.objects, again.emptied.objects) == (1, 0)


async def test_what_is_young_is_judged_by_the_clock_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ContentStore.open(tmp_path.as_uri())
    ref = await store.put(b"written just now")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 86400)
    report = await collect(store, grace=DAY)
    assert (gone(report), await store.objects.fetch(content_key(ref)) is not None) == ({}, True)
    assert not (tmp_path / CLOCK).exists()


async def test_the_note_of_a_worker_is_left_as_soon_as_the_store_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever cleans the store for another namespace would take what its runs need."""
    place, elsewhere = tmp_path / "content", tmp_path / "away"
    objects = Objects.open(place.as_uri(), tmp_path / "state")
    user = User("id-1", "default")

    async def of(_: Any) -> User:
        return user

    monkeypatch.setattr(User, "of", of)
    monkeypatch.setattr("outlast.storage.garbage.users.AGAIN", 0.01)
    place.rename(elsewhere)
    async with noted_user(cast("Client", None), objects):
        elsewhere.rename(place)
        async with asyncio.timeout(10):
            while await users(objects) != [user]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_what_comes_while_it_looks_is_not_judged(tmp_path: Path) -> None:
    store, new = ContentStore.open(tmp_path.as_uri()), tmp_path / "AA" / ("A" * 43)
    ref = await store.put(b"touched meanwhile")
    os.utime(tmp_path / content_key(ref), (0, 0))

    def write() -> None:
        new.parent.mkdir()
        new.write_bytes(b"new")
        os.utime(tmp_path / content_key(ref))

    told = cast("Histories", Told(meanwhile=write))
    report = await Collector(store.objects, ("default",), DAY, delete=True).collect([told])
    assert (gone(report), new.exists(), (tmp_path / content_key(ref)).exists()) == ({}, True, True)


async def test_what_nobody_knows_is_never_deleted_nor_what_it_refers_to(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path.as_uri())
    of_theirs, of_router = await store.put(b"theirs"), await store.put(b"{}")
    await store.remember("mine", f"my own form: {of_theirs}".encode())
    await store.remember("undone/of an older version", b"{}")
    await store.remember("router/default", of_router.encode())
    (tmp_path / "note.txt").write_text("somebody's")
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "cd").write_text("somebody's")
    report = await collect(store)
    assert (gone(report), report.unknown) == ({}, 2 + 3)  # with the marker file
    assert await store.get(of_theirs) == b"theirs"


async def test_without_a_key_nothing_is_deleted_and_with_it_references_are_found(tmp_path: Path) -> None:
    key = {"k": bytes(32)}
    store = ContentStore.open(tmp_path.as_uri(), seal=Seal(key))
    inner = await store.put(b"inner " * 100)
    outer = await store.put(json.dumps({"ref": inner}).encode())
    await store.put(b"orphan")
    with pytest.raises(UnreadableError, match=r"cannot be read: PAYLOAD_KEYS: .*'k', which is not there"):
        await collect(ContentStore.open(tmp_path.as_uri()), outer)
    assert not (tmp_path / "trash").exists()
    assert gone(await collect(store, outer)) == {"content": 1}
    assert await store.get(inner) == b"inner " * 100


async def test_a_store_of_many_objects_is_judged_page_by_page(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path.as_uri())
    refs = [await store.put(f"{number}".encode()) for number in range(2 * PAGE + 10)]
    for number in range(PAGE + 10):
        await store.remember(f"{number}", b'{"said":"x"}')
    kept = await store.put("\n".join(refs[::2]).encode())
    assert gone(await collect(store, kept)) == {"content": PAGE + 5, "result of a tool": PAGE + 10}
    assert [await store.objects.fetch(content_key(ref)) is not None for ref in refs] == [True, False] * (PAGE + 5)


def test_every_record_that_is_written_is_known(tmp_path: Path) -> None:
    reply = ModelReply(text="", model="m", stop_reason=StopReason.END_TURN, usage=Usage())
    written: dict[str, Any] = {
        "paid reply": PaidReply(reply, 1, 1).dumped(),
        "result of a tool": ToolOutcome(said="", undo={"a": 1}, failed=True).model_dump_json().encode(),
        "how to undo a call": UndoRecord(call="c", arguments={}, undo="t").model_dump_json().encode(),
        "mark of an undone call": UNDONE,
        "cost of an attempt": Usage(output_tokens=3).model_dump_json().encode(),
        "turn at a service": b"turn " + b"0" * 32,
        "trained router": reference(b"").encode(),
    }
    assert {name: kind_of(record) for name, record in written.items()} == {name: name for name in written}
    for other in (b"", b"{}", b"[1]", b"text", b'{"said":"x","more":1}', b"\xff"):
        assert kind_of(other) == UNKNOWN
    assert kind_of(b'{"ours":1}') == UNKNOWN
    register_record(RecordKind("ours", frozenset({"ours"})))
    assert kind_of(b'{"ours":1}') == "ours"


def test_references_are_found_wherever_they_stand() -> None:
    ref = reference(b"x")
    for text in (ref, f'{{"ref":"{ref}"}}', f"see {ref}.", f"\\n{ref}\\n"[2:-2]):
        assert content_key(ref) in keys_in(text.encode(), ())
    assert keys_in(f"{ref}x {ref[:-1]}".encode(), ()) == set()
    assert keys_in(b'{"key": "run \\"a\\"/1/1"}', ("n",)) == {
        named_key('undo/n/run "a"/1/1'),
        named_key('undone/n/run "a"/1/1'),
    }


async def test_a_history_that_cannot_be_read_ends_the_search() -> None:
    attributes = WorkflowExecutionStartedEventAttributes(
        input=Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=b'"in clear"')]),
        memo=Memo(fields={"note": Payload(metadata={"encoding": b"json/plain"}, data=b'"a note"')}),
    )
    event = HistoryEvent(workflow_execution_started_event_attributes=attributes)
    payloads = list(payloads_in(event))
    assert sorted(payload.data for payload in payloads) == [b'"a note"', b'"in clear"']
    codec = EncryptionCodec({"k": bytes(32)})
    sealed = await codec.encode(payloads)
    assert await readable(sealed, codec, "run") == payloads
    compressed = [Payload(metadata={"encoding": b"binary/zlib"}, data=b"x")]
    for given, own, why in (
        (sealed, None, "PAYLOAD_KEYS is not set"),
        (sealed, EncryptionCodec({"other": bytes(32)}), "the key 'k', which is not there"),
        (compressed, codec, "'binary/zlib' is unknown"),
    ):
        with pytest.raises(UnreadableError, match=f"the history of a run cannot be read: .*{why}"):
            await readable(given, own, "the history of a run")


async def test_records_of_calls_that_never_came_back_go_from_the_spool_after_a_week(tmp_path: Path) -> None:
    spool = Spool(ContentStore.open((tmp_path / "content").as_uri()), tmp_path)
    for name in ("old", "new"):
        spool._write(name, b"{}")
    old, new = (cast("Path", spool._path(name)) for name in ("old", "new"))
    os.utime(old, (time.time() - KEPT.total_seconds() - 1,) * 2)
    spool.clean()
    assert (old.exists(), new.exists()) == (False, True)
    Spool(spool.store, tmp_path / "none").clean()


async def test_what_others_put_into_a_store_stays_or_is_named(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path.as_uri())
    kept, lost = await store.put(b"kept" * 100), await store.put(b"lost" * 100)
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / "a b.txt").write_text("of somebody else")
    (tmp_path / kept[:2] / f"{kept}#1").write_text("half written by a worker that died")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    report = await collect(store, kept)
    assert (gone(report), await store.get(kept)) == ({"content": 1}, b"kept" * 100)
    assert (tmp_path / "zz" / "a b.txt").exists()
    assert await store.get(lost) == b"lost" * 100  # back from the trash

    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "notes.txt").write_text('{"id": "1", "by": "somebody else"}')
    with pytest.raises(ValueError, match=r"users/notes\.txt is no note of ours"):
        await users(store.objects)
    (tmp_path / "all").symlink_to(tmp_path)
    with pytest.raises(UnlistedError, match=r"cannot be listed: .*loop"):
        await collect(store, kept)
