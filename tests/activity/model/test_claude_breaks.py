"""Connections that fail before, in and after an answer: always tried again, never twice by us, and what was paid is told."""

import asyncio
import shutil
import socket
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from outlast.contracts import Part, Usage
from outlast.errors import ErrorKind
from outlast.llm.activities import AgentActivities
from outlast.llm.claude import client_of, make_client
from outlast.llm.endpoint import Endpoint, Known
from outlast.llm.scripted import ScriptedLLM
from outlast.storage.activities import ContentStore
from tests.activity.conftest import TABLE, Caller, asking, calling, point_s3_at
from tests.doubles.wire import Reply, Wire, answer, ending, message_start, text_block

BEGUN = [message_start(cache_read_input_tokens=1000), *text_block("12345678" * 10)[:2]]
"""The beginning of an answer: 100 input tokens, 1000 from the cache, 80 characters."""


@pytest.mark.parametrize(
    "reply",
    [
        Reply(events=BEGUN, ending="close"),
        Reply(events=BEGUN, ending="reset"),
        Reply(events=BEGUN),
        Reply(events=[*BEGUN, "event: content_block_delta\ndata: {not json\n\n"]),
    ],
    ids=["closed in a chunk", "reset", "ended without a stop", "garbled"],
)
async def test_a_stream_that_breaks_off_is_tried_again_and_was_paid(wire: Wire, caller: Caller, reply: Reply) -> None:
    wire.replies = [reply]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable, failed.next_retry_delay) == (ErrorKind.MODEL_UNAVAILABLE, False, None)
    assert failed.message.startswith(f"the connection to {wire.url}")
    assert (details.request_id, details.usage.input_tokens, details.usage.cache_read_tokens) == ("req_1", 100, 1000)
    assert details.usage.output_tokens == 20  # told only at the end, so four characters count as one
    assert details.usd == pytest.approx((100 * 2 + 20 * 10 + 1000 * 0.2) / 1e6)
    assert len(wire.hits) == 1


async def test_a_whole_answer_counts_though_its_connection_ends_early(wire: Wire, caller: Caller) -> None:
    """The last event only says that nothing follows; asking again would be paid twice."""
    wire.replies = [Reply(events=[message_start(), *text_block("Yes."), ending()[0]])]
    turn = await caller.call()
    assert (turn.content.text, turn.usage.output_tokens) == ("Yes.", 20)


@pytest.mark.parametrize("reply", [Reply(events=[": ping\n\n"]), Reply(body=""), Reply(body=" \n")])
async def test_a_good_status_without_an_answer_is_tried_again(wire: Wire, caller: Caller, reply: Reply) -> None:
    wire.replies = [reply]
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable) == (ErrorKind.MODEL_UNAVAILABLE, False)
    assert "the stream ended before the answer did (request req_1)" in failed.message
    assert (details.usd, len(wire.hits)) == (0, 1)


async def test_nobody_listens(store: ContentStore) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening, so that nobody else takes the port
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with make_client(None, url, timeout=10) as client:
            failed, details = await calling(client, store).fail()
    assert (failed.type, failed.non_retryable) == (ErrorKind.MODEL_UNAVAILABLE, False)
    assert url in failed.message
    assert "ConnectError" in failed.message
    assert details.request_id == ""


async def test_silence_in_a_stream_ends_at_the_read_timeout(wire: Wire, store: ContentStore) -> None:
    wire.replies = [Reply(events=[*BEGUN, asyncio.Event()])]
    async with make_client("key", wire.url, timeout=0.2) as client, asyncio.timeout(10):
        failed, details = await calling(client, store).fail()
        assert (failed.type, details.usage.output_tokens) == (ErrorKind.MODEL_UNAVAILABLE, 20)
        assert "ReadTimeout" in failed.message
        await wire.hits[0].left.wait()


def broken_store(directory: Path) -> ContentStore:
    """Open a store and take its directory away."""
    store = ContentStore.open((directory / "lost").as_uri(), inline_limit=0)
    shutil.rmtree(directory / "lost")
    (directory / "lost").write_text("a file now")
    return store


async def test_an_answer_that_cannot_be_kept_was_paid_all_the_same(wire: Wire, caller: Caller, tmp_path: Path) -> None:
    wire.replies = [answer("Yes.")]
    caller.agent = AgentActivities(caller.llm, broken_store(tmp_path), TABLE)
    failed, details = await caller.fail()
    assert (failed.type, failed.non_retryable) == (ErrorKind.CONTENT_UNAVAILABLE, False)
    assert details.usd == pytest.approx((100 * 2 + 20 * 10) / 1e6)


async def test_that_holds_for_every_model_behind_the_seam(caller: Caller, tmp_path: Path) -> None:
    caller.agent = AgentActivities(ScriptedLLM(lambda _: "three words here"), broken_store(tmp_path), TABLE)
    _, details = await caller.fail()
    assert details.usage == Usage(input_tokens=4, output_tokens=3)


async def test_a_prompt_that_is_lost_costs_nothing(wire: Wire, caller: Caller) -> None:
    with pytest.raises(ApplicationError, match="CONTENT_STORE_URL") as caught:
        await caller.call(asking(system=Part(ref="A" * 43)))
    assert (caught.value.type, caught.value.details, wire.hits) == (ErrorKind.CONTENT_MISSING, (), [])


async def test_a_slow_content_store_beats_as_well(wire: Wire, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is not dead because its store is slow, neither before the call nor after it, when it is paid."""
    beaten = asyncio.Event()

    async def missing_after_a_beat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await beaten.wait()
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with asyncio.timeout(10), await asyncio.start_server(missing_after_a_beat, "127.0.0.1", 0) as server:
        point_s3_at(monkeypatch, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        caller.agent = AgentActivities(caller.llm, ContentStore.open("s3://bucket"), TABLE)
        caller.env.on_heartbeat = lambda *_: beaten.set()
        caller.beat(0.06)
        with pytest.raises(ApplicationError) as caught:
            await caller.call(asking(system=Part(ref="A" * 43)))
    assert (caught.value.type, beaten.is_set(), wire.hits) == (ErrorKind.CONTENT_MISSING, True, [])


WEB_PAGE = Reply(
    body="<!DOCTYPE html><html><body>We will be right back</body></html>", headers={"content-type": "text/html"}
)


@pytest.mark.parametrize("reply", [WEB_PAGE, Reply(events=["what is this\n\n"])], ids=["web page", "garbage"])
async def test_a_web_page_is_a_wrong_address_at_first_and_an_outage_once_the_address_has_answered(
    wire: Wire, store: ContentStore, tmp_path: Path, reply: Reply
) -> None:
    endpoint = Endpoint.of("key", wire.url, 5.0)
    beside = Known.of(endpoint, tmp_path / "providers")  # of a worker that had begun before, and has had no answer yet

    for whole, error in ((False, ErrorKind.MODEL_NOT_FOUND), (True, None), (False, ErrorKind.MODEL_UNAVAILABLE)):
        wire.replies = [answer("Yes.") if whole else reply]
        async with client_of(endpoint) as client:  # as a worker that starts in the middle of it
            caller = calling(client, store, known=Known.of(endpoint, tmp_path / "providers"))
            if whole:
                assert (await caller.call()).content.text == "Yes."
                continue
            failed, details = await caller.fail()
            assert (failed.type, details.away) == (error, not failed.non_retryable)
    assert beside.is_right
