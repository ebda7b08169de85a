"""The content store on a directory and on a real S3 server: kept once, checked when read, clear about what is wrong."""

import asyncio
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from moto.server import ThreadedMotoServer
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.contracts import Content, Part, StoreRequest
from outlast.errors import ErrorKind
from outlast.storage.activities import (
    INLINE_LIMIT,
    READS_AT_ONCE,
    ContentActivities,
    ContentStore,
    content_key,
    named_key,
    reference,
    summarise,
)
from outlast.storage.cache import ENTRY_BYTES, LARGEST_SHARE, ContentCache
from outlast.storage.marker import MARKER
from outlast.storage.sealing import MAGIC, Seal
from tests.activity.conftest import point_s3_at
from tests.activity.storage.storing import count_reads

BIG = "Ebbe und Flut 🌊\n" * 300_000
"""More than 5 MB of UTF-8, with characters of one, two and four bytes."""


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bucket = urllib.request.Request(f"http://{host}:{port}/texts", method="PUT")
    with urllib.request.urlopen(bucket, timeout=10) as answered:
        assert answered.status == 200
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "directory":
        return (tmp_path / "store of ünits").as_uri()
    point_s3_at(monkeypatch, request.getfixturevalue("s3_server"))
    return f"s3://texts/{tmp_path.name}"


def files_of(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.name != MARKER]


async def fails(store: ContentStore, ref: str) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await store.get(ref)
    return caught.value


@pytest.mark.parametrize("text", ["", "Ebbe\r\n\tund Flut\0 🌊", "x" * INLINE_LIMIT])
async def test_a_short_text_travels_inline(store: ContentStore, tmp_path: Path, text: str) -> None:
    kept = await store.keep(text)
    assert (kept.text, kept.ref, kept.size) == (text, None, len(text.encode()))
    assert await store.text(kept) == await store.text(Part.of(kept)) == text
    assert files_of(tmp_path / "content") == []


async def test_the_limit_counts_bytes(store: ContentStore) -> None:
    assert (await store.keep("é" * (INLINE_LIMIT // 2))).ref is None
    assert (await store.keep("é" * (INLINE_LIMIT // 2) + "x")).ref is not None


async def test_a_long_text_travels_by_reference(url: str) -> None:
    writer, reader = ContentStore.open(url), ContentStore.open(url)
    kept = await writer.keep(BIG)
    assert (kept.text, kept.size, kept.ref) == (None, len(BIG.encode()), reference(BIG.encode()))
    assert kept.summary.startswith("Ebbe und Flut 🌊 Ebbe")
    assert len(kept.model_dump_json()) < 400
    assert await reader.text(kept) == await reader.text(Part.of(kept)) == BIG


async def test_the_same_bytes_are_kept_once_however_many_write_them(url: str) -> None:
    stores = [ContentStore.open(url) for _ in range(4)]
    refs = await asyncio.gather(*[store.put(b"\xff\x00" * 50_000) for store in stores * 5])
    assert set(refs) == {reference(b"\xff\x00" * 50_000)}
    assert await stores[0].get(refs[0]) == b"\xff\x00" * 50_000


async def test_what_is_written_is_never_written_over(store: ContentStore, tmp_path: Path) -> None:
    ref = await store.put(b"first")
    (file,) = files_of(tmp_path / "content")
    before = file.stat()
    await store.put(b"first")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    file.write_bytes(b"other")
    altered = await fails(store, ref)
    assert (altered.type, altered.non_retryable) == (ErrorKind.CONTENT_ALTERED, True)
    assert ref in altered.message
    assert "backup" in altered.message


async def test_what_was_lost_is_written_anew_where_its_text_comes_again(tmp_path: Path) -> None:
    """After a power cut a file may be empty: a run that is started anew must not find it so for ever, nor a cache hide it."""
    url = tmp_path.as_uri()
    ref = await ContentStore.open(url).put(b"first")
    (file,) = files_of(tmp_path)
    file.write_bytes(b"")
    assert await ContentStore.open(url, cache_bytes=10**6).put(b"first") == ref
    assert await ContentStore.open(url).get(ref) == b"first"


async def test_with_keys_a_store_holds_no_text_in_clear(url: str, tmp_path: Path, caplog: Any) -> None:
    old, new = b"o" * 32, b"n" * 32
    before, first = ContentStore.open(url), ContentStore.open(url, seal=Seal({"old": old}))
    now = ContentStore.open(url, seal=Seal({"new": new, "old": old}))
    refs = [await before.put(b"quokka in clear"), await first.put(b"quokka " * 50_000), await now.put(b"quokka now")]
    await before.remember("a", b"quokka in clear")
    await first.remember("b", b"quokka")
    assert refs[1] == reference(b"quokka " * 50_000)
    assert [await now.get(ref) for ref in refs] == [b"quokka in clear", b"quokka " * 50_000, b"quokka now"]
    assert [await now.recall(name) for name in "abc"] == [b"quokka in clear", b"quokka", None]
    await now.remember("a", b"other")
    assert await now.recall("a") == b"quokka in clear"
    for kept in (content_key(refs[1]), content_key(refs[2]), named_key("b")):
        assert b"quokka" not in bytes(await now.objects.read(kept) or b"")
    unread = await fails(before, refs[2])
    assert (unread.type, unread.non_retryable) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    assert "encrypted with the key 'new', which is not there" in unread.message
    with pytest.raises(ApplicationError, match="PAYLOAD_KEYS"):
        await before.recall("b")
    await before.put(b"quokka now")  # one without the key writes nothing in clear over it
    await now.put(b"quokka in clear")  # what lay there from before is encrypted where its text comes again
    for ref in (refs[0], refs[2]):
        assert b"quokka" not in bytes(await now.objects.read(content_key(ref)) or b"")
    assert await now.get(refs[0]) == b"quokka in clear"
    await now.objects.write(content_key(refs[0]), b"moved", anew=True)
    altered = await fails(ContentStore.open(url, seal=Seal({"new": new})), refs[0])
    assert (altered.type, altered.non_retryable) == (ErrorKind.CONTENT_ALTERED, True)


async def test_a_file_that_begins_as_an_encrypted_one_is_no_riddle(tmp_path: Path) -> None:
    for seal in (None, Seal({"k": bytes(32)})):
        for data in (MAGIC, MAGIC + b"\x01k" + bytes(40)):
            ref = await ContentStore.open(tmp_path.as_uri()).put(data)
            assert await ContentStore.open(tmp_path.as_uri(), seal=seal).get(ref) == data


async def test_two_stores_that_should_be_one_are_told(url: str, tmp_path: Path) -> None:
    kept = await ContentStore.open(url, inline_limit=0).keep("of the starter")
    assert kept.ref is not None
    missing = await fails(ContentStore.open((tmp_path / "other").as_uri()), kept.ref)
    assert (missing.type, missing.non_retryable) == (ErrorKind.CONTENT_MISSING, True)
    for said in (kept.ref, (tmp_path / "other").as_uri(), "CONTENT_STORE_URL"):
        assert said in missing.message


@pytest.mark.parametrize("ref", ["", "..", "../../../../etc/passwd", "ab\0", "é" * 43, "A" * 42, "A" * 5000, "A" * 43])
async def test_a_reference_that_is_none_is_final(url: str, ref: str) -> None:
    missing = await fails(ContentStore.open(url), ref)
    assert (missing.type, missing.non_retryable) == (ErrorKind.CONTENT_MISSING, True)
    assert len(missing.message) < 400


async def test_a_file_is_not_taken_for_a_text(store: ContentStore) -> None:
    with pytest.raises(ApplicationError, match="extract its text first") as caught:
        await store.text(Part(ref=await store.put(b"%PDF-1.7 \xe2\xe3\xcf\xd3")))
    assert (caught.value.type, caught.value.non_retryable) == (ErrorKind.INPUT_INVALID, True)


async def test_a_store_that_does_not_answer_is_told_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening, so that nobody else takes the port
        point_s3_at(monkeypatch, f"http://127.0.0.1:{closed.getsockname()[1]}")
        store = ContentStore.open("s3://texts/here")
        began = time.monotonic()
        with pytest.raises(ApplicationError) as caught:
            await store.put(b"x")
        errors = [caught.value, await fails(store, reference(b"x"))]
    assert time.monotonic() - began < 20
    for error in errors:
        assert (error.type, error.non_retryable) == (ErrorKind.CONTENT_UNAVAILABLE, False)
        assert "s3://texts/here does not answer" in error.message
        assert "check CONTENT_STORE_URL" in error.message
        assert "Debug source" not in error.message


async def test_a_store_that_is_overloaded_is_asked_four_times_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def overloaded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(overloaded, "127.0.0.1", 0) as server:
        point_s3_at(monkeypatch, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        busy = await fails(ContentStore.open("s3://texts"), "A" * 43)
    assert (busy.type, busy.non_retryable, len(asked)) == (ErrorKind.CONTENT_UNAVAILABLE, False, 4)


async def test_a_bucket_that_is_not_there_is_told(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_s3_at(monkeypatch, s3_server)
    with pytest.raises(ApplicationError, match="NoSuchBucket") as caught:
        await ContentStore.open("s3://no-such-bucket/x").put(b"x")
    assert caught.value.type == ErrorKind.CONTENT_UNAVAILABLE


@pytest.mark.parametrize("wrong", ["texts", "./texts", "/texts", "ftp://host/texts", "s3://", "az://box/texts"])
def test_an_address_of_no_store_names_the_setting(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ValueError, match="CONTENT_STORE_URL=") as caught:
        ContentStore.open(wrong)
    assert len(str(caught.value)) < 300


async def test_the_activity_keeps_a_text_for_a_workflow(store: ContentStore) -> None:
    request = StoreRequest(text="x" * 5000, media_type="application/json", summary="report of the run")
    kept: Content = await ActivityEnvironment().run(ContentActivities(store).keep_text, request)
    assert (kept.summary, kept.media_type, kept.size) == ("report of the run", "application/json", 5000)
    assert await store.text(kept) == "x" * 5000


async def test_a_summary_is_one_short_line(store: ContentStore) -> None:
    assert summarise("High\n\n and\tlow.") == "High and low."
    assert summarise("tide " * 100, 20) == "tide tide tide tide…"
    assert len((await store.keep("x", summary="much " * 100)).summary) <= 200
    assert (await store.keep("High and low.")).summary == ""  # the text says it already
    assert (await store.keep("High\nand low.")).summary == "High and low."


async def test_half_a_character_can_be_kept(store: ContentStore) -> None:
    assert (await store.keep("half \ud83c, whole \ud83c\udf0a")).text == "half �, whole 🌊"


def test_every_directory_is_a_store(tmp_path: Path) -> None:
    url = (tmp_path / "a b#c%20d ü").as_uri()
    ContentStore.open(url)
    assert (tmp_path / "a b#c%20d ü").is_dir()
    assert urlsplit(url).scheme == "file"


async def test_a_text_that_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = tmp_path.as_uri()
    ref = await ContentStore.open(url).put(b"first")
    plain, cached = ContentStore.open(url), ContentStore.open(url, cache_bytes=10**6)
    reads = count_reads(monkeypatch)
    assert [await plain.get(ref) for _ in range(3)] == [await cached.get(ref) for _ in range(3)] == [b"first"] * 3
    assert len(reads) == 3 + 1
    (file,) = files_of(tmp_path)
    file.write_bytes(b"other")
    assert await cached.get(ref) == b"first"  # it was checked when it was read
    assert (await fails(ContentStore.open(url, cache_bytes=10**6), ref)).type == ErrorKind.CONTENT_ALTERED


async def test_a_text_that_was_written_is_not_read_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ContentStore.open(tmp_path.as_uri(), cache_bytes=10**6)
    reads = count_reads(monkeypatch)
    kept = await store.keep("tide " * 1000)
    assert await store.text(kept) == "tide " * 1000
    assert reads == []


async def test_what_was_altered_or_is_missing_is_never_cached(tmp_path: Path) -> None:
    store = ContentStore.open(tmp_path.as_uri(), cache_bytes=10**6)
    ref = await ContentStore.open(tmp_path.as_uri()).put(b"first")
    (file,) = files_of(tmp_path)
    file.write_bytes(b"other")
    assert (await fails(store, ref)).type == ErrorKind.CONTENT_ALTERED
    file.unlink()
    assert (await fails(store, ref)).type == ErrorKind.CONTENT_MISSING
    file.write_bytes(b"first")  # restored
    assert await store.get(ref) == b"first"


def test_the_cache_holds_no_more_than_it_may_and_lets_the_longest_unused_go() -> None:
    cache = ContentCache(4 * LARGEST_SHARE * ENTRY_BYTES)
    most = 4 * LARGEST_SHARE * ENTRY_BYTES // (100 + ENTRY_BYTES)
    for number in range(most + 1):
        cache.keep(str(number), b"x" * 100)
        assert cache.get("0") is not None
    assert cache.size <= 4 * LARGEST_SHARE * ENTRY_BYTES
    assert cache.get("1") is None
    assert cache.get("2") == cache.get(str(most)) == b"x" * 100
    before = cache.size
    cache.keep("large", b"x" * 4 * ENTRY_BYTES)
    cache.keep("2", b"x" * 100)
    assert (cache.get("large"), cache.size) == (None, before)


async def test_texts_are_read_side_by_side_and_each_once(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [await store.put(f"{number}".encode()) for number in range(20)]
    reading, most = 0, 0

    async def slowly(get: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0.001)
        reading -= 1
        return await get(*arguments)

    reads = count_reads(monkeypatch, slowly)
    assert await store.texts(iter(refs * 2)) == {ref: str(number) for number, ref in enumerate(refs)}
    assert (len(reads), most) == (20, READS_AT_ONCE)
    assert await store.texts([]) == {}


async def test_one_text_that_is_missing_ends_the_reading_of_all(store: ContentStore) -> None:
    refs = [await store.put(f"{number}".encode()) for number in range(20)]
    with pytest.raises(ApplicationError, match="A" * 43) as caught:
        await store.texts([*refs[:10], "A" * 43, *refs[10:]])
    assert caught.value.type == ErrorKind.CONTENT_MISSING
    assert asyncio.all_tasks() == {asyncio.current_task()}
