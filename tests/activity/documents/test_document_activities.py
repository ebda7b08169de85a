import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psutil
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from outlast.documents.activities import DocumentActivities
from outlast.documents.contracts import DocumentSource, ExtractedText, ExtractRequest
from outlast.documents.formats.extraction import extract
from outlast.documents.parsing.pool import SLOTS
from outlast.errors import ErrorKind, kind_of
from outlast.storage.activities import ContentStore
from tests.document_files import SENTENCE, pdf, pdf_of, stream
from tests.real_process import command_of

MAX_BYTES = 1_000_000


async def run(
    store: ContentStore,
    data: bytes,
    name: str,
    *,
    part_characters: int = 2000,
    on_beat: Callable[[ActivityEnvironment, Any], None] | None = None,
    **changes: Any,
) -> ExtractedText:
    """Store a file and extract it as a worker would, beating every 20 milliseconds if somebody listens."""
    source = DocumentSource(name=name, ref=await store.put(data), size=len(data)).model_copy(update=changes)
    env = ActivityEnvironment()
    if on_beat is not None:
        env.info = replace(env.info, heartbeat_timeout=timedelta(milliseconds=60))
        env.on_heartbeat = lambda details: on_beat(env, details)
    activities = DocumentActivities(store, MAX_BYTES)
    request = ExtractRequest(document=source, part_characters=part_characters)
    # ActivityEnvironment gives back what the function gives: here a coroutine.
    found = await env.run(activities.extract_text, request)
    assert isinstance(found, ExtractedText)
    return found


async def refusal(store: ContentStore, data: bytes, name: str, **changes: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await run(store, data, name, **changes)
    assert caught.value.non_retryable
    return caught.value


def many_pages(count: int) -> bytes:
    """A small file whose pages are all one and the same, so that it is quick to make and slow to read."""
    return pdf_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, b"3 0 R " * count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 840]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        stream(b"BT /F 10 Tf 20 800 Td 12 TL " + b"(The ferry waits for the tide.) ' " * 200 + b"ET"),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )


async def test_short_document_travels_inline(store: ContentStore) -> None:
    found = await run(store, pdf("Dear all,", "the ferry waits."), "letter.pdf")
    assert [part.text for part in found.parts] == ["Dear all,\n\nthe ferry waits."]
    assert (found.characters, found.media_type, found.pages) == (27, "application/pdf", 2)


async def test_long_document_is_kept_in_parts_that_make_up_the_whole(store: ContentStore) -> None:
    data = "\n\n".join(f"{number}. {SENTENCE * 9}".strip() for number in range(30)).encode()
    found = await run(store, data, "story.txt", part_characters=4000)
    assert all(part.text is None and part.ref for part in found.parts)
    texts = [await store.text(part) for part in found.parts]
    assert "\n\n".join(texts) == extract(data, "story.txt").text
    assert all(2000 < len(text) <= 4000 for text in texts)
    assert [part.summary[:20] for part in found.parts] == [text[:20] for text in texts]
    assert found.characters == len(data)


async def test_declared_size_over_the_limit_is_refused_before_the_file_is_fetched(store: ContentStore) -> None:
    error = await refusal(store, b"text", "film.pdf", size=MAX_BYTES + 1, ref="0" * 64)
    assert kind_of(error) == ErrorKind.DOCUMENT_TOO_LARGE
    assert "film.pdf has 1,000,001 bytes" in error.message


async def test_true_size_over_the_limit_is_refused_whatever_was_declared(store: ContentStore) -> None:
    error = await refusal(store, b"x" * (MAX_BYTES + 1), "film.txt", size=1)
    assert kind_of(error) == ErrorKind.DOCUMENT_TOO_LARGE


async def test_unreadable_file_missing_content_and_tiny_parts_are_final_errors(store: ContentStore) -> None:
    assert kind_of(await refusal(store, pdf(""), "scan.pdf")) == ErrorKind.DOCUMENT_SCANNED
    assert kind_of(await refusal(store, b"text", "lost.txt", ref="0" * 64)) == ErrorKind.CONTENT_MISSING
    assert kind_of(await refusal(store, b"text", "a.txt", part_characters=199)) == ErrorKind.INPUT_INVALID


async def test_heartbeats_go_on_while_pages_are_read_and_name_the_page(store: ContentStore) -> None:
    beats: list[dict[str, Any]] = []
    await run(store, many_pages(40), "long.pdf", on_beat=lambda _, details: beats.append(details))
    pages = [beat["page"] for beat in beats]
    assert len(set(pages)) > 2
    assert pages == sorted(pages)
    assert {beat["document"] for beat in beats} == {"long.pdf"}


async def test_cancelled_extraction_ends_the_process_that_reads(store: ContentStore) -> None:
    def cancel(env: ActivityEnvironment, details: dict[str, Any]) -> None:
        if details["page"]:
            env.cancel()

    before = set(parser_processes())
    for _ in range(SLOTS):
        with pytest.raises(asyncio.CancelledError):
            await run(store, many_pages(2000), "endless.pdf", on_beat=cancel)
    # Reading to the end takes half a minute, and all slots would be taken.
    assert (await asyncio.wait_for(run(store, b"short", "short.txt"), 10)).characters == 5
    assert len(set(parser_processes()) - before) <= 1


def parser_processes() -> list[int]:
    children = psutil.Process().children()
    return [child.pid for child in children if "outlast.documents.parsing.child" in command_of(child)]
